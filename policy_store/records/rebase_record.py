"""A signed record that voids records whose revisions lie in the far future.

`policy_store.records.revision_rules` says how readers apply it, `policy_store.decisions.rebasing` how it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from policy_store.records.account_record import ACCOUNT_SLOT
from policy_store.records.channel_record import Channel, channel_slot, freshness_slot
from policy_store.records.experiment_record import EXPERIMENTS_SLOT
from policy_store.records.governed_record import GovernedRecord, Revision, Sha256, SignedRecord
from policy_store.records.ledger_record import LEDGER_SLOT
from policy_store.records.preference_record import PREFERENCE_SLOT

REBASE_SLOT = "rebase"
DECIDED_SLOTS = (*(channel_slot(channel) for channel in Channel), PREFERENCE_SLOT, EXPERIMENTS_SLOT)
"""The slots that hold decisions of people or the gate."""
ORDERED_SLOTS = (*DECIDED_SLOTS, LEDGER_SLOT, ACCOUNT_SLOT, *(freshness_slot(channel) for channel in Channel))
"""The slots whose records are ordered by their revisions; a re-base changes only these."""
MAX_VOIDED = 100_000


class RebaseRecord(GovernedRecord):
    """Re-base number `epoch` (from 1): it voids the records whose hashes are in `voids`, permanently.

    `revision` is the store's time when it was made, in epoch ms; only the epoch orders re-bases.
    """

    kind: Literal["rebase"] = "rebase"
    epoch: Revision
    voids: Annotated[tuple[Sha256, ...], Field(max_length=MAX_VOIDED)] = ()

    @property
    def slot(self) -> str:
        """`rebase`."""
        return REBASE_SLOT


@dataclass(frozen=True, slots=True)
class SlotRemoval:
    """What a re-base does to one slot: the `voided` records leave slot and history, and `left` is then in force.

    `found` holds the bytes of the record that was in the slot when the re-base was planned; empty if there was none.
    """

    slot: str
    found: bytes
    left: SignedRecord | None
    voided: tuple[SignedRecord, ...]
