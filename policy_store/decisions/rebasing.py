"""How people repair a store whose history contains revisions from the far future.

1. Find every record of an ordered slot whose revision is more than an hour ahead of the store's time, and every node
   that remembers such a revision.
2. Sign a re-base that names these records by hash, with an epoch above all known ones.
3. Publish it: one atomic step removes the records from slots and histories; the newest remaining one is then in force.
4. Each node applies it at its next poll. If a voided record was in force, people or the learner decide again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from event_schemas.instant import utc_text
from policy_store.backends.store import PolicyStore
from policy_store.backends.store_change import parse_record, revisions_of
from policy_store.decisions.node_claims import NodeClaims, claimed_revisions, claims_of_live_nodes
from policy_store.decisions.rebase_reading import claimed_rebases, rebases_beyond, verified_rebases
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verification import TrustRule
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.rebase_record import DECIDED_SLOTS, ORDERED_SLOTS, REBASE_SLOT, RebaseRecord, SlotRemoval
from policy_store.records.revision_rules import KnownRevision, hinders_publishing, next_epoch, require_clocks_agree
from policy_store.records.store_errors import NothingToRebase, RecordMalformed, RevisionConflict

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class VoidedRecord:
    """A record that a re-base voids, and where it was found; `in_force` is true when it is the one in the slot."""

    slot: str
    signed: SignedRecord
    record: GovernedRecord
    in_force: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        fields = self.record.model_dump(mode="json", include={"revision", "by", "reason", "version"})
        place = {"slot": self.slot, "hash": self.signed.hash, "in_force": self.in_force}
        return place | fields | {"time": utc_text(self.record.revision)}


@dataclass(frozen=True, slots=True)
class RebasePlan:
    """What a re-base would do at `time_ms`, the store's time.

    own          the change to the re-bases' own slot: unverified re-bases of a later epoch are removed
    remembered   the revisions far ahead that nodes report, by slot
    """

    epoch: int
    time_ms: int
    own: SlotRemoval
    voided: tuple[VoidedRecord, ...]
    removals: tuple[SlotRemoval, ...]
    remembered: tuple[tuple[str, KnownRevision], ...]

    @property
    def decide_again(self) -> tuple[str, ...]:
        """The slots whose record in force is voided, or whose records nodes will refuse until a new one is published.

        Freshness slots are not included: a running learner renews them.
        """
        slots = {each.slot for each in self.voided if each.in_force} | {slot for slot, _ in self.remembered}
        return tuple(slot for slot in DECIDED_SLOTS if slot in slots)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "epoch": self.epoch,
            "revision": self.time_ms,
            "voids": [each.as_dict() for each in self.voided],
            "nodes": [{"slot": slot, "revision": k.revision, "known_to": k.source} for slot, k in self.remembered],
            "decide_again": list(self.decide_again),
        }


@dataclass(frozen=True, slots=True)
class _Contents:
    """One slot at one time: the bytes in it, and its records with those of the history, newest first."""

    slot: str
    in_force: bytes
    records: Sequence[SignedRecord]

    def far(self, time_ms: int) -> list[VoidedRecord]:
        """The records that are far ahead, each once; also those that belong to another slot."""
        far: dict[str, VoidedRecord] = {}
        for signed in self.records:
            record = _parsed(signed)
            if record is not None and hinders_publishing(record.revision, time_ms):
                far.setdefault(signed.hash, VoidedRecord(self.slot, signed, record, signed.record == self.in_force))
        return list(far.values())

    def without(self, voided: Sequence[VoidedRecord]) -> SlotRemoval:
        """The change to this slot; the newest record of this slot that is not voided is left in force."""
        gone = {each.signed.record for each in voided}
        left = [each for each in self.records if each.record not in gone and self._belongs(each)]
        return SlotRemoval(self.slot, self.in_force, left[0] if left else None, tuple(each.signed for each in voided))

    def _belongs(self, signed: SignedRecord) -> bool:
        record = _parsed(signed)
        return record is not None and record.slot == self.slot


def plan_rebase(store: PolicyStore, rule: TrustRule) -> RebasePlan:
    """Step 1. Raises NothingToRebase, StoreUnreachable."""
    time_ms, over, claims = store.time_ms(), store.slot_bytes(REBASE_SLOT), claims_of_live_nodes(store)
    found = store.known_records(REBASE_SLOT)
    held, claimed = verified_rebases(found, rule), claimed_rebases(found)
    voided: list[VoidedRecord] = []
    removals: list[SlotRemoval] = []
    for slot in ORDERED_SLOTS:
        contents = _Contents(slot, store.slot_bytes(slot), store.known_records(slot))
        far = contents.far(time_ms)
        voided += far
        if far:
            removals.append(contents.without(far))
    # Both with the verified re-bases, as nodes count claims, and with all claimed ones, as publishers do.
    remembered = [
        (slot, each) for slot in ORDERED_SLOTS for each in _far_claims(claims, slot, (held, claimed), time_ms)
    ]
    if not voided and not remembered:
        raise NothingToRebase(
            "no revision in the store, and none that a live node reports, is more than an hour ahead of the store's "
            f"clock ({utc_text(time_ms)})",
            fix="if publishing is still refused, read its error: there is another cause",
        )
    epoch = next_epoch(
        [each.epoch for each in held], [*(each.epoch for each in claims), *(each.epoch for each in claimed)]
    )
    own = SlotRemoval(REBASE_SLOT, over, None, rebases_beyond(found, epoch))
    return RebasePlan(epoch, time_ms, own, tuple(voided), tuple(removals), tuple(remembered))


def rebase(store: PolicyStore, rule: TrustRule, decider: Decider) -> RebasePlan:
    """Runs steps 1 to 3, again if somebody published in between; returns the plan that was carried out.

    Raises NothingToRebase, ClocksDisagree, RevisionConflict, StoreUnreachable, StoreRefused.
    """
    require_clocks_agree(decider.now_ms, store.time_ms())
    for attempt in range(ATTEMPTS):
        plan = plan_rebase(store, rule)
        record = _record(store, plan, decider)
        try:
            store.publish_rebase(record.signed_by(decider.key), plan.own, plan.removals)
            return plan
        except RevisionConflict:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def _record(store: PolicyStore, plan: RebasePlan, decider: Decider) -> RebaseRecord:
    signed = store.known_records(REBASE_SLOT)
    content = {
        "experiment": store.experiment,
        "revision": plan.time_ms,
        "parent_revision": next(iter(revisions_of(signed)), None),
        "by": decider.by,
        "reason": decider.reason,
        "epoch": plan.epoch,
        "voids": [each.signed.hash for each in plan.voided],
    }
    return RebaseRecord.from_content(content)


def _far_claims(
    claims: Sequence[NodeClaims], slot: str, views: Iterable[Sequence[RebaseRecord]], time_ms: int
) -> list[KnownRevision]:
    """The claims that are far ahead under one of the `views` of the re-bases, one per node."""
    counted = [each for rebases in views for each in claimed_revisions(claims, slot, rebases)]
    return list({each.source: each for each in counted if hinders_publishing(each.revision, time_ms)}.values())


def _parsed(signed: SignedRecord) -> GovernedRecord | None:
    try:
        return parse_record(signed)
    except RecordMalformed:
        return None
