"""Who decides, and the place that the next record gets in its slot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from policy_store.backends.store import PolicyStore
from policy_store.backends.store_change import parse_record, revisions_of
from policy_store.decisions.node_claims import claimed_revisions, claims_of_live_nodes
from policy_store.decisions.rebase_reading import claimed_rebases
from policy_store.records.governed_record import MAX_NAME, MAX_REASON, SignedRecord
from policy_store.records.rebase_record import REBASE_SLOT
from policy_store.records.revision_rules import KnownRevision, next_revision, require_clocks_agree
from policy_store.records.signing import SigningKey
from policy_store.records.store_errors import RecordMalformed


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Who decides, why and when. `by` names a person or a process; `now_ms` is the time of its clock in epoch ms.

    Raises RecordMalformed for an empty or overlong name, or an overlong reason.
    """

    by: str
    reason: str
    now_ms: int

    def __post_init__(self) -> None:
        if not self.by.strip() or len(self.by) > MAX_NAME or len(self.reason) > MAX_REASON:
            raise RecordMalformed(
                f"a decision needs a name of 1 to {MAX_NAME} characters and a reason of at most {MAX_REASON}",
                fix="give a name with --by, or shorten --by or --reason",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider(Statement):
    """A statement with the key that signs the resulting record."""

    key: SigningKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """The next revision of a slot, and the store's time when it was chosen."""

    revision: int
    time_ms: int


def next_place(store: PolicyStore, slot: str, decider: Decider) -> Place:
    """The place of the next record; raises ClocksDisagree or RevisionAhead."""
    time_ms = store.time_ms()
    require_clocks_agree(decider.now_ms, time_ms)
    known = [KnownRevision(revision, "the store") for revision in revisions_of(store.known_records(slot))]
    rebases = claimed_rebases(store.known_records(REBASE_SLOT))
    known += claimed_revisions(claims_of_live_nodes(store), slot, rebases, time_ms)
    return Place(next_revision(slot, known, time_ms), time_ms)


def provenance(store: PolicyStore, parent: int | None, place: Place, decider: Decider) -> dict[str, Any]:
    """The fields that all records have in common."""
    return {
        "experiment": store.experiment,
        "revision": place.revision,
        "parent_revision": parent,
        "by": decider.by,
        "reason": decider.reason,
    }


def revision_of(signed: SignedRecord | None) -> int | None:
    """The revision of what is in a slot; None when it is empty. Raises RecordMalformed."""
    return None if signed is None else parse_record(signed).revision
