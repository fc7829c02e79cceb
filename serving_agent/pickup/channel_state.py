"""The states of one channel on a node, and what every event makes of them. Pure: a state and an event in, a state out.

A state has two halves. What serves:

EMPTY     nothing was accepted yet
SERVING   the decision accepted last serves
STALE     the same, but the store was asked about it after its expiry and did not prolong it

What is known of the decisions that came after:

OPEN      nothing that would make a read unnecessary: the record in the store is read, verified and judged
WAITING   the newest verified decision does not fit this node's traffic; new traffic alone may change that
REFUSED   one record is known by its bytes and not looked at again before a re-base
BLOCKED   one decision waits, and another record was refused after it

Event       it comes when                                      what serves              what came after
InPlace     the store holds what serves, before its expiry     STALE → SERVING          as before
Prolonged   the same past its expiry, with a later one         STALE → SERVING          OPEN
Lapsed      a record is past its expiry: what serves           SERVING → STALE          as before
            another one                                        as before                that one waits no longer
Rejected    a record is not accepted, at this look only: the   as before                as before
            slot is unreadable or empty again, the record is
            from the future, its checkpoint is not there
            for good: signature, role, experiment, revision,   as before                REFUSED, or BLOCKED while
            voided, manifest, blobs                                                     another one waits
Judged      a verified decision was loaded: accepted, or it    SERVING, the new one     OPEN
            withdraws a canary
            drift                                              as before                WAITING
            contract                                           as before                REFUSED
Rebased     a re-base was applied                              as before                refused no longer; what is void
                                                                                        waits no longer
Restored    the node starts from its disk                      SERVING, the saved one   OPEN

No event, so the state stays as it was: the store does not answer or refuses; the slot was never filled; the record is
the refused one, or the waiting one without enough new traffic; a kill or a resume, which are not the channel's; a
fork, whose child continues with its own copy.

Invariants, for every state that a history of events can reach:

1. What serves is replaced, never lost: no event leads back to EMPTY.
2. Policy, revision, place, signed bytes and expiry of what serves are those of one decision.
3. Only a decision that was just accepted, before its expiry, or the one on the disk begins to serve.
4. A decision that waits does not serve, and is not the refused one. (What serves may be refused later: as void, or as
   older than what the node remembers. It keeps serving.)
5. While a decision waits, it is the newest one judged, `seen`, and its verdict is drift.
6. `accepted` is at most `seen`, and `seen` never goes back while the node lives.
7. Live heads that drifted count as drifted until the decision that showed it is judged again, replaced, void or past
   its expiry: a record that nobody can accept does not end that.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import assert_never

from policy_store.decisions import VerifiedCheckpoint
from policy_store.records import ChannelRecord, DecisionOrder, RecordMalformed, SignedRecord
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.pickup.checkpoint_pickup import PickupResult, PickupVerdict
from serving_agent.pickup.snapshot_disk import SavedChannel


class Service(Enum):
    """What serves."""

    EMPTY = auto()
    SERVING = auto()
    STALE = auto()


class Newest(Enum):
    """What is known of the decisions that came after what serves."""

    OPEN = auto()
    WAITING = auto()
    REFUSED = auto()
    BLOCKED = auto()


class Sight(Enum):
    """What a record found in the store is to a state."""

    NEW = auto()
    IN_SERVICE = auto()
    WAITS = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Serving:
    """The decision that serves; `accepted` is its place among the decisions of all channels.

    One that is `withdrawn` is in force and serves nobody: `policy` is that of the canary which it ends.
    """

    policy: LoadedPolicy
    revision: int
    accepted: DecisionOrder
    saved: SavedChannel
    expires_at: int
    stale: bool = False
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A verified decision that drifted; `judged_at` counts the requests this node had seen by then."""

    verified: VerifiedCheckpoint
    cause: PickupResult
    judged_at: int


@dataclass(frozen=True, slots=True)
class JudgedRecord:
    """What a record says about itself, verified or not."""

    version: str
    revision: int

    @classmethod
    def of(cls, signed: SignedRecord | None) -> JudgedRecord | None:
        """None without a record, or for one that cannot be read."""
        if signed is None:
            return None
        try:
            record = ChannelRecord.parse(signed.record)
        except RecordMalformed:
            return None
        return cls(record.version, record.revision)


@dataclass(frozen=True, slots=True)
class Told:
    """The last verdict, and the highest revision the node remembered then; None: it comes from the disk.

    `judged` is the record that the verdict is about.
    """

    verdict: PickupVerdict
    highest: int | None = None
    judged: JudgedRecord | None = None

    def adds_to(self, before: Told | None) -> bool:
        """Whether it tells people something new.

        Drift that goes on is told once: each look at it measures another value, and the audit is kept for ever.
        """
        if before is None or self.verdict.policy is not None:
            return True
        if (before.verdict.result, before.highest) != (self.verdict.result, self.highest):
            return True
        if before.judged != self.judged:
            return True
        return not self.verdict.waits_for_traffic and before.verdict.notes != self.verdict.notes


@dataclass(frozen=True, slots=True)
class InPlace:
    """See the table."""


@dataclass(frozen=True, slots=True)
class Prolonged:
    """See the table; `seen` is the decision's place now."""

    expires_at: int
    seen: DecisionOrder


@dataclass(frozen=True, slots=True)
class Lapsed:
    """See the table; `told` counts where `record` does not serve."""

    record: SignedRecord
    told: Told


@dataclass(frozen=True, slots=True)
class Rejected:
    """See the table; `for_good` is the record that need not be looked at again."""

    told: Told
    for_good: SignedRecord | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """See the table; `told` holds the verdict, `seen` the decision's place, `requests` what the node had seen."""

    verified: VerifiedCheckpoint
    told: Told
    seen: DecisionOrder
    requests: int


@dataclass(frozen=True, slots=True)
class Rebased:
    """See the table; `voided` holds hashes of records."""

    voided: Set[str]


@dataclass(frozen=True, slots=True)
class Restored:
    """See the table."""

    serving: Serving
    told: Told


Event = InPlace | Prolonged | Lapsed | Rejected | Judged | Rebased | Restored


@dataclass(frozen=True, slots=True)
class ChannelState:
    """One state; `seen` places the newest decision judged among those of all channels."""

    serving: Serving | None = None
    waiting: Waiting | None = None
    refused: SignedRecord | None = None
    seen: DecisionOrder = field(default_factory=DecisionOrder)
    told: Told | None = None

    @property
    def service(self) -> Service:
        """The first half of the state."""
        if self.serving is None:
            return Service.EMPTY
        return Service.STALE if self.serving.stale else Service.SERVING

    @property
    def newest(self) -> Newest:
        """The second half of the state."""
        if self.waiting is not None:
            return Newest.WAITING if self.refused is None else Newest.BLOCKED
        return Newest.OPEN if self.refused is None else Newest.REFUSED

    @property
    def policy(self) -> LoadedPolicy | None:
        """What serves; None if it was withdrawn."""
        return None if self.serving is None or self.serving.withdrawn else self.serving.policy

    @property
    def revision(self) -> int:
        """That of what serves; 0 while nothing does."""
        return 0 if self.serving is None else self.serving.revision

    @property
    def stale(self) -> bool:
        """Whether what serves is known to have expired; what was withdrawn serves nobody."""
        return self.service is Service.STALE and self.policy is not None

    @property
    def accepted(self) -> DecisionOrder:
        """The place of what serves; the lowest while nothing does."""
        return DecisionOrder() if self.serving is None else self.serving.accepted

    @property
    def saved(self) -> SavedChannel | None:
        """What belongs on the disk."""
        return None if self.serving is None else self.serving.saved

    @property
    def verdict(self) -> PickupVerdict | None:
        """The last one."""
        return None if self.told is None else self.told.verdict

    @property
    def drifted(self) -> bool:
        """Whether the live heads drifted from those of the newest decision."""
        return self.waiting is not None and self.waiting.cause is PickupResult.LIVE_DRIFT

    def sight_of(self, record: SignedRecord, now_ms: int) -> Sight:
        """What a record in the store is; past its expiry what serves and what waits must be read again.

        A withdrawal never expires.
        """
        if record == self.refused:
            return Sight.REFUSED
        if self.waits(record):
            assert self.waiting is not None
            return Sight.WAITS if now_ms < self.waiting.verified.expires_at else Sight.NEW
        if self.serves(record):
            assert self.serving is not None
            in_time = self.serving.withdrawn or now_ms < self.serving.expires_at
            return Sight.IN_SERVICE if in_time else Sight.NEW
        return Sight.NEW

    def serves(self, record: SignedRecord) -> bool:
        """Whether this is the record of what serves."""
        return self.serving is not None and self.serving.saved.record == record

    def waits(self, record: SignedRecord | None) -> bool:
        """Whether this is the record of what waits for traffic."""
        return self.waiting is not None and self.waiting.verified.record == record

    def after(self, event: Event) -> ChannelState:
        """The state that follows; see the table."""
        match event:
            case InPlace():
                return replace(self, serving=self._fresh())
            case Prolonged(expires_at, seen):
                return replace(self, serving=self._fresh(expires_at), waiting=None, refused=None, seen=seen)
            case Lapsed(record, told):
                return self._after_lapse(record, told)
            case Rejected(told, for_good):
                waiting = None if self.waits(for_good) else self.waiting
                return replace(self, waiting=waiting, refused=for_good or self.refused, told=told)
            case Judged():
                return self._after_judgement(event)
            case Rebased(voided):
                void = self.waiting is not None and self.waiting.verified.record.hash in voided
                return replace(self, refused=None, waiting=None if void else self.waiting)
            case Restored(serving, told):
                return ChannelState(serving=serving, seen=serving.accepted, told=told)
            case _:
                assert_never(event)

    def _fresh(self, expires_at: int | None = None) -> Serving | None:
        if self.serving is None:
            return None
        return replace(self.serving, stale=False, expires_at=expires_at or self.serving.expires_at)

    def _after_lapse(self, record: SignedRecord, told: Told) -> ChannelState:
        if self.serving is not None and self.serves(record):
            return replace(self, serving=replace(self.serving, stale=True))
        return replace(self, waiting=None if self.waits(record) else self.waiting, told=told)

    def _after_judgement(self, event: Judged) -> ChannelState:
        verified, verdict = event.verified, event.told.verdict
        judged = replace(self, waiting=None, refused=None, seen=event.seen, told=event.told)
        if verdict.policy is not None:
            saved = SavedChannel(verified.record, verified.signed)
            record = verified.channel
            serving = Serving(verdict.policy, record.revision, event.seen, saved, verified.expires_at)
            return replace(judged, serving=replace(serving, withdrawn=record.withdrawn))
        if verdict.waits_for_traffic:
            return replace(judged, waiting=Waiting(verified, verdict.result, judged_at=event.requests))
        return replace(judged, refused=verified.record)


def is_news(before: ChannelState, after: ChannelState) -> bool:
    """Whether a step tells people something: another verdict, or that what serves has expired or is fresh again."""
    if after.told is None or after.told is before.told:
        return after.stale != before.stale
    return after.told.adds_to(before.told)
