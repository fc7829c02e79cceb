"""Follows one channel of the store: reads, verifies and judges what it points to, and keeps the channel's state."""

from event_schemas.errors import TrimtabError
from policy_store.backends import PolicyStore
from policy_store.decisions import TrustRule, VerifiedCheckpoint, verify_channel, verify_checkpoint, verify_decision
from policy_store.records import (
    Channel,
    DecisionOrder,
    ReaderMemory,
    RecordExpired,
    RecordFromFuture,
    SignedRecord,
    StoreRefused,
    StoreUnreachable,
    UnknownCheckpoint,
    channel_slot,
)
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.channel_state import (
    ChannelState,
    Event,
    InPlace,
    Judged,
    JudgedRecord,
    Lapsed,
    Prolonged,
    Rebased,
    Rejected,
    Restored,
    Serving,
    Sight,
    Told,
    is_news,
)
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult, PickupVerdict
from serving_agent.pickup.snapshot_disk import SavedSnapshot


class ChannelWatch:
    """One channel on this node; used by one thread. `state` is where it stands; `channel_state` says what may follow.

    `memory` is what the node remembers of revisions, shared by its watches.
    """

    def __init__(
        self,
        channel: Channel,
        rule: TrustRule,
        pickup: CheckpointPickup,
        recent: RecentTraffic,
        new_evidence: int,
        memory: ReaderMemory | None = None,
    ) -> None:
        """`new_evidence`: requests that must have come before a verdict of drift is looked at again.

        `memory` is the watch's own when left out.
        """
        self.channel = channel
        self.state = ChannelState()
        self.memory = ReaderMemory() if memory is None else memory
        self._rule = rule
        self._pickup = pickup
        self._recent = recent
        self._new_evidence = new_evidence

    @property
    def slot(self) -> str:
        """Name of the channel's slot in the store."""
        return channel_slot(self.channel)

    @property
    def highest(self) -> int | None:
        """The highest revision this node remembers of the channel."""
        return self.memory.highest.get(self.slot)

    def poll(self, store: PolicyStore, now_ms: int) -> bool:
        """Look at the channel; True when there is something to report.

        Raises StoreUnreachable and StoreRefused, after which everything stands as before.
        """
        event = self._look(store, now_ms)
        if event is None:
            return False
        before, self.state = self.state, self.state.after(event)
        return is_news(before, self.state)

    def restore(self, snapshot: SavedSnapshot) -> None:
        """Start from the disk: verified and loaded as from the store, but past expiry too; raises TrimtabError.

        There is no drift check: a node that has just started has seen nothing.
        """
        saved = snapshot.channels.get(self.channel.value)
        if saved is None:
            return
        record = verify_channel(saved.record, self.channel, self._rule)
        manifest = verify_checkpoint(saved.checkpoint, record.version, self._rule)
        policy = self._pickup.load(manifest, saved.checkpoint)
        self.memory.recall(saved.record, record)
        accepted = DecisionOrder(snapshot.accepted_in.get(self.slot, 0), record.revision)
        judged = JudgedRecord(record.version, record.revision)
        told = Told(PickupVerdict(PickupResult.ACCEPTED, ("from this node's disk",), policy), judged=judged)
        serving = Serving(policy, record.revision, accepted, saved, record.expires_at, withdrawn=record.withdrawn)
        self.state = self.state.after(Restored(serving, told))

    def rebased(self) -> None:
        """A re-base was applied: what was refused may be acceptable now, and what waits may be void."""
        self.state = self.state.after(Rebased(frozenset(self.memory.voided)))

    def _look(self, store: PolicyStore, now_ms: int) -> Event | None:
        """What has happened to the channel; None for nothing."""
        signed: SignedRecord | None = None
        try:
            signed = store.channel(self.channel.value)
            if signed is None:
                self.memory.require_never_seen(self.slot)
                return None
            sight = self.state.sight_of(signed, now_ms)
            if sight is not Sight.NEW:
                return self._seen_before(sight)
            verified = verify_decision(store, self.channel, signed, self._rule, now_ms, self.memory)
        except (StoreUnreachable, StoreRefused):
            raise
        except TrimtabError as fault:
            return self._rejected(signed, fault)
        return self._decided(verified)

    def _seen_before(self, sight: Sight) -> Event | None:
        """A verdict of drift stands until enough new requests have come to look again."""
        if sight is Sight.IN_SERVICE:
            return InPlace()
        waiting = self.state.waiting
        if sight is Sight.REFUSED or waiting is None or self._recent.seen - waiting.judged_at < self._new_evidence:
            return None
        return self._judged(waiting.verified, self.state.seen)

    def _rejected(self, signed: SignedRecord | None, fault: TrimtabError) -> Event:
        result = PickupResult.UNVERIFIED
        if isinstance(fault, RecordExpired):
            result = PickupResult.EXPIRED
        elif isinstance(fault, RecordFromFuture):
            result = PickupResult.FUTURE
        told = Told(PickupVerdict(result, (str(fault),)), self.highest, JudgedRecord.of(signed))
        if signed is not None and isinstance(fault, RecordExpired):
            return Lapsed(signed, told)
        # Not for good: the clock that is wrong may be this machine's, and a checkpoint may still arrive.
        passing = isinstance(fault, RecordFromFuture | UnknownCheckpoint)
        return Rejected(told, for_good=None if passing else signed)

    def _decided(self, verified: VerifiedCheckpoint) -> Event:
        """Judge a verified decision, unless it is the one in service with a later expiry."""
        self.memory.accept(verified.channel)
        place = self.memory.order_of(verified.channel)
        if self.state.serves(verified.record):
            return Prolonged(verified.expires_at, place)
        return self._judged(verified, place)

    def _judged(self, verified: VerifiedCheckpoint, place: DecisionOrder) -> Event:
        verdict = self._verdict(verified)
        judged = JudgedRecord(verified.channel.version, verified.channel.revision)
        return Judged(verified, Told(verdict, self.highest, judged), place, self._recent.seen)

    def _verdict(self, verified: VerifiedCheckpoint) -> PickupVerdict:
        """The pick-up's verdict; a withdrawal waits for no traffic, as nothing begins to serve by it."""
        if not verified.channel.withdrawn:
            return self._pickup.consider(verified.manifest, verified.signed)
        try:
            held = self.state.serving
            policy = self._pickup.load(verified.manifest, verified.signed) if held is None else held.policy
        except TrimtabError as fault:
            return PickupVerdict(PickupResult.CONTRACT, (str(fault),))
        return PickupVerdict(PickupResult.ACCEPTED, (f"withdrawn: {verified.channel.reason}",), policy)
