"""The gate's account of an experiment: the newest run of any learner, and what the gate has spent so far.

A learner writes it under its lease before it shows or publishes what a run found. So whoever runs next, with whatever
data directory, knows of every look: also of one whose learner was killed before it could publish.
"""

from __future__ import annotations

from typing import Any, Literal

from policy_store.records.governed_record import GovernedRecord, Name, Revision, Sha256

ACCOUNT_SLOT = "account"


class AccountRecord(GovernedRecord):
    """The account after one run.

    run       its number, from 1
    version   its checkpoint, which the store lacks if the learner was killed before it published
    manifest  SHA-256 of the checkpoint's manifest
    parent    the checkpoint that it continued; null after a cold start. The slot's history is the chain of runs
    budget    the gate's budget after the run, as in `evaluation.budget` of the manifest
    """

    kind: Literal["account"] = "account"
    run: Revision
    version: Name
    manifest: Sha256
    parent: Name | None = None
    budget: dict[str, Any]

    @property
    def slot(self) -> str:
        """`account`."""
        return ACCOUNT_SLOT
