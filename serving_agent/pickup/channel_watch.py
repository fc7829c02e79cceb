"""Follows one channel of the store: what it points to, what of that this node has accepted, and why not the rest."""

from event_schemas.errors import TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.decisions.verification import (
    TrustRule,
    VerifiedCheckpoint,
    read_channel_verified,
    verify_channel,
    verify_checkpoint,
)
from policy_store.records.channel_record import Channel, channel_slot
from policy_store.records.governed_record import SignedRecord
from policy_store.records.revision_rules import DecisionOrder, ReaderMemory
from policy_store.records.store_errors import (
    RecordExpired,
    RecordFromFuture,
    StoreRefused,
    StoreUnreachable,
    UnknownCheckpoint,
)
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.decide.snapshot import LoadedPolicy
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult, PickupVerdict
from serving_agent.pickup.snapshot_disk import SavedChannel, SavedSnapshot


class ChannelWatch:
    """The state of one channel on this node; used by one thread.

    `policy` is the last checkpoint accepted and `revision` that of its channel record; `verdict` is how the newest
    record fared. `stale` says that the accepted decision has expired: it serves on, new ones are not taken.
    `accepted` and `seen` place the decision accepted, and the newest one judged, among those of other channels.
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

        `memory` is what the node remembers of revisions; its own when left out.
        """
        self.channel = channel
        self.policy: LoadedPolicy | None = None
        self.revision = 0
        self.verdict: PickupVerdict | None = None
        self.stale = False
        self.memory = ReaderMemory() if memory is None else memory
        self.accepted = self.seen = DecisionOrder()
        self.saved: SavedChannel | None = None
        self._rule = rule
        self._pickup = pickup
        self._recent = recent
        self._new_evidence = new_evidence
        self._expires_at = 0
        self._refused: SignedRecord | None = None
        self._waiting: VerifiedCheckpoint | None = None
        self._judged_at = 0
        self._told: int | None = None

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
        try:
            signed = store.channel(self.channel.value)
        except (StoreUnreachable, StoreRefused):
            raise
        except TrimtabError as fault:
            return self._report(PickupVerdict(PickupResult.UNVERIFIED, (str(fault),)))
        if self._settled(signed, now_ms):
            return self._reconsider(signed)
        try:
            verified = read_channel_verified(store, self.channel, self._rule, now_ms=now_ms, memory=self.memory)
        except (StoreUnreachable, StoreRefused):
            raise
        except RecordExpired as fault:
            return self._expired(signed, fault)
        except RecordFromFuture as fault:
            # Not refused for good: the clock that is wrong may be this machine's.
            return self._report(PickupVerdict(PickupResult.FUTURE, (str(fault),)))
        except UnknownCheckpoint as fault:
            return self._report(PickupVerdict(PickupResult.UNVERIFIED, (str(fault),)))
        except TrimtabError as fault:
            self._refused = signed
            return self._report(PickupVerdict(PickupResult.UNVERIFIED, (str(fault),)))
        return verified is not None and self._take(verified)

    def restore(self, snapshot: SavedSnapshot) -> None:
        """Start from the disk: verified and loaded as from the store, but past expiry too; raises TrimtabError.

        There is no drift check: a node that has just started has seen nothing.
        """
        saved = snapshot.channels.get(self.channel.value)
        if saved is None:
            return
        record = verify_channel(saved.record, self.channel, self._rule)
        manifest = verify_checkpoint(saved.checkpoint, record.version, self._rule)
        self.policy = self._pickup.load(manifest, saved.checkpoint)
        self.revision = record.revision
        self.accepted = self.seen = DecisionOrder(snapshot.accepted_in.get(self.slot, 0), record.revision)
        self.memory.recall(saved.record, record)
        self._expires_at = record.expires_at
        self.saved = saved
        self.verdict = PickupVerdict(PickupResult.ACCEPTED, ("from this node's disk",), self.policy)

    def rebased(self) -> None:
        """A re-base was applied: what was refused may be acceptable now, and what waits may be void."""
        self._refused = None
        if self._waiting is not None and self._waiting.record.hash in self.memory.voided:
            self._waiting = None

    def _settled(self, signed: SignedRecord | None, now_ms: int) -> bool:
        if signed is None:
            return self.highest is None
        if signed == self._refused:
            return True
        if self._waiting is not None and signed == self._waiting.record:
            # Past its expiry it must not be accepted any more, whatever the traffic says.
            return now_ms < self._waiting.expires_at
        return self.saved is not None and signed == self.saved.record and now_ms < self._expires_at

    def _take(self, verified: VerifiedCheckpoint) -> bool:
        """Judge a verified checkpoint, unless it is the one in service with a later expiry."""
        self.memory.accept(verified.channel)
        self.seen = self.memory.order_of(verified.channel)
        self._refused = self._waiting = None
        if self.saved is not None and self.saved.record == verified.record:
            self._expires_at = verified.expires_at
            was_stale, self.stale = self.stale, False
            return was_stale
        return self._judge(verified)

    def _judge(self, verified: VerifiedCheckpoint) -> bool:
        verdict = self._pickup.consider(verified.manifest, verified.signed)
        self._judged_at = self._recent.seen
        if verdict.policy is not None:
            self.policy = verdict.policy
            self.revision = verified.channel.revision
            self.accepted = self.seen
            self.saved = SavedChannel(verified.record, verified.signed)
            self.stale = False
            self._expires_at = verified.expires_at
            self._waiting = None
        elif verdict.waits_for_traffic:
            self._waiting = verified
        else:
            self._refused = verified.record
        return self._report(verdict)

    def _reconsider(self, signed: SignedRecord | None) -> bool:
        """A verdict of drift stands until enough new requests have come to look again."""
        if self._waiting is None or signed != self._waiting.record:
            return False
        if self._recent.seen - self._judged_at < self._new_evidence:
            return False
        return self._judge(self._waiting)

    def _expired(self, signed: SignedRecord | None, fault: RecordExpired) -> bool:
        if self.saved is not None and signed == self.saved.record:
            was_stale, self.stale = self.stale, True
            return not was_stale
        return self._report(PickupVerdict(PickupResult.EXPIRED, (str(fault),)))

    def _report(self, verdict: PickupVerdict) -> bool:
        """Keep the verdict; True when it tells something new.

        Drift that goes on is told once: each look at it measures another value, and the audit is kept for ever.
        """
        before, self.verdict = self.verdict, verdict
        told_again = before is not None and before.result is verdict.result and self._told == self.highest
        self._told = self.highest
        if verdict.policy is not None or before is None or not told_again:
            return True
        return not verdict.waits_for_traffic and before.notes != verdict.notes
