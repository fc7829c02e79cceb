"""Reads and writes the gate's account of an experiment, the record that every learner continues."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from event_schemas.errors import TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.record_places import Decider, next_place, provenance, revision_of
from policy_store.decisions.verification import TrustRule, verify_record
from policy_store.records.account_record import ACCOUNT_SLOT, AccountRecord
from policy_store.records.checkpoint_record import CheckpointManifest
from policy_store.records.governed_record import SignedRecord


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """The newest account, verified, and the `revision` in the slot, over which the next one is written.

    `record` is None before the first run; `revision` is None if the slot is empty.
    """

    record: AccountRecord | None
    revision: int | None


@dataclass(frozen=True, slots=True)
class RunAccount:
    """A run to be kept: its number, from 1, the manifest of its checkpoint, and the gate's budget after it as JSON."""

    number: int
    manifest: CheckpointManifest
    budget: Mapping[str, Any]


def read_account_verified(store: PolicyStore, rule: TrustRule) -> FoundAccount:
    """The account. Raises the errors of verify_record and ReaderMemory.require_acceptable.

    If the slot was deleted, or an older record put back, the newest record of its history counts that verifies.
    """
    revision = revision_of(store.account())
    known = store.known_records(ACCOUNT_SLOT)
    if not known:
        return FoundAccount(None, revision)
    memory = remembered_rebases(store, rule)

    def verified(signed: SignedRecord) -> AccountRecord:
        record = verify_record(signed, AccountRecord, rule)
        memory.require_acceptable(signed, record)
        return record

    newest = verified(known[0])
    for signed in known[1:]:
        with suppress(TrimtabError):  # what lies in the slot must be good; of the past, what is good counts
            newest = max(newest, verified(signed), key=lambda record: record.revision)
    return FoundAccount(newest, revision)


def keep_account(
    store: PolicyStore,
    run: RunAccount,
    over: FoundAccount,
    decider: Decider,
    *,
    fencing_token: int,
) -> AccountRecord:
    """Writes the account after a run over the one that was read.

    Raises RevisionConflict if somebody else has written meanwhile, LeaseLost if the lease has passed on; then nothing
    has changed.
    """
    manifest = run.manifest
    place = next_place(store, ACCOUNT_SLOT, decider)
    content = {
        "run": run.number,
        "version": manifest.version,
        "manifest": hashlib.sha256(manifest.canonical()).hexdigest(),
        "parent": manifest.parent,
        "budget": dict(run.budget),
    }
    record = AccountRecord.from_content(content | provenance(store, over.revision, place, decider))
    store.publish_account(record.signed_by(decider.key), parent_revision=over.revision, fencing_token=fencing_token)
    return record
