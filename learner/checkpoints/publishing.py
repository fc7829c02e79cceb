"""Publishes a checkpoint to the policy store, and points to it the channel that the verdict allows.

A pass never goes to stable: under automatic approval it becomes the canary, if there is none. A canary that runs keeps
its place until it is promoted or withdrawn (`learner.canary_step`), or an experiment would never end: a learner passes
new checkpoints every day. What passes meanwhile waits in shadow.

1. Take the learner's lease (`learner.checkpoints.learner_lease`); its fencing token goes with every write.
2. Write the account of the run (`learner.checkpoints.gate_account`). **This spends the share of its look.**
3. Store the signed checkpoint; storing the same bytes again changes nothing.
4. Point the channel to it. **This publishes.**

If the process dies after 2, the share is spent and nobody has seen the verdict; if it dies after 3, no channel points
to the checkpoint, and the next run points to it if it passed.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.learner_lease import LearnerLease, LeaseHolder
from learner.judgement.gate import GateVerdict, Verdict
from policy_store.backends import PolicyStore
from policy_store.decisions import (
    Decider,
    TrustRule,
    keep_fresh,
    point_channel,
    publish_checkpoint,
    running_canary,
    withdraw_canary,
)
from policy_store.records import (
    CANARY_PREFIX,
    Channel,
    ChannelRecord,
    RecordMalformed,
    RevisionConflict,
    SigningKey,
    UnknownCheckpoint,
    channel_slot,
)

OWNER = "learner"
SENTENCE_LIMIT = 500
STABLE_SLOT, CANARY_SLOT = channel_slot(Channel.STABLE), channel_slot(Channel.CANARY)


@dataclass(frozen=True, slots=True)
class Published:
    """`channel` and `revision` are None for a checkpoint that is in the store for inspection only.

    Such is a refused one, and one without a pass while shadow holds a pass that waits for people. `held` says why a
    checkpoint that passed waits in shadow under automatic approval.
    """

    version: str
    channel: str | None
    revision: int | None
    held: str | None = None


@dataclass(frozen=True)
class Publisher:
    """Writes to one store with one key; `clock` is this machine's (epoch ms), revisions follow the store's clock.

    `rule` says which records in the store count. `holder` names who has the lease.
    """

    store: PolicyStore
    key: SigningKey
    experiment: Experiment
    clock: Callable[[], int]
    rule: TrustRule
    holder: LeaseHolder = field(default_factory=LeaseHolder)

    @cached_property
    def lease(self) -> LearnerLease:
        """The learner's lease for this process."""
        return LearnerLease(self.store, self.holder)

    def publish(self, checkpoint: Checkpoint, verdict: GateVerdict, held: str | None = None) -> Published:
        """`held` says why people must decide about a pass. Raises LeaseHeld while another learner publishes,
        RevisionConflict, StoreUnreachable or StoreRefused.

        A RevisionConflict says whether someone else published first, this machine's clock and the store's disagree, or
        the store needs a re-base first.
        """
        with self.lease.granted() as token:
            publish_checkpoint(self.store, checkpoint.manifest, checkpoint.blobs, self.key, fencing_token=token)
            channel = channel_for(verdict.verdict, self.experiment.gate.approval)
            if channel is None or (verdict.verdict is not Verdict.PASS and self._pass_waits()):
                return Published(checkpoint.version, None, None)
            held = (held or self._occupied(checkpoint.version)) if channel is Channel.CANARY else None
            if held is not None:
                channel = Channel.SHADOW
            record = self._point(channel, checkpoint.version, _sentence(verdict, held), token)
            return Published(checkpoint.version, channel.value, record.revision, held)

    def promote(self, version: str, reason: str) -> None:
        """Point stable to a canary that proved superior, which ends its experiment. Raises as `publish`."""
        with self.lease.granted() as token:
            self._require_canary(version)
            self._point(Channel.STABLE, version, f"superior online: {reason}", token)

    def withdraw(self, version: str, reason: str) -> None:
        """End the canary: its users are served like all others. Raises as `publish`."""
        with self.lease.granted() as token:
            self._require_canary(version)
            ttl_ms = self.experiment.serving.checkpoint_ttl
            withdraw_canary(self.store, self.decider(reason), ttl_ms=ttl_ms, fencing_token=token)

    def announced(self, version: str) -> bool:
        """Whether a channel points to this checkpoint or did; a kill may have come between storing it and pointing."""
        return any(version in self._versions_in(channel) for channel in Channel)

    def _versions_in(self, channel: Channel) -> set[str]:
        found = set()
        for signed in self.store.known_records(channel_slot(channel)):
            with suppress(RecordMalformed):
                found.add(ChannelRecord.parse(signed.record).version)
        return found

    def _pass_waits(self) -> bool:
        """Whether shadow points to a checkpoint that passed and fits, and that people may yet promote.

        One that was in stable or was withdrawn as the canary waits for nobody, nor does what cannot be read.
        """
        signed = self.store.channel(Channel.SHADOW)
        if signed is None:
            return False
        try:
            version = ChannelRecord.parse(signed.record).version
            manifest = self.store.get_checkpoint(version).parsed()
            decided = {ChannelRecord.parse(each.record).version for each in self.store.history(STABLE_SLOT)}
            canaries = [ChannelRecord.parse(each.record) for each in self.store.history(CANARY_SLOT)]
        except (UnknownCheckpoint, RecordMalformed):
            return False
        fits = manifest.action_space == self.experiment.action_space.digest
        decided |= {each.version for each in canaries if each.withdrawn}
        return fits and manifest.verdict == Verdict.PASS and version not in decided

    def keep_alive(self) -> list[str]:
        """Extend the expiry of all channel records without a new decision; returns the channels that have a record.

        An error of one channel is raised only after the others were extended. Raises LeaseLost.
        """
        with self.lease.granted() as token:
            return self._extended(token)

    def _extended(self, token: int) -> list[str]:
        kept: list[str] = []
        faults: list[TrimtabError] = []
        said = Decider(by=OWNER, reason="the learner runs", now_ms=self.clock(), key=self.key)
        for channel in Channel:
            try:
                ttl_ms = self.experiment.serving.checkpoint_ttl
                keep_fresh(self.store, channel, said, ttl_ms=ttl_ms, fencing_token=token)
                kept.append(channel.value)
            except UnknownCheckpoint:
                continue
            except TrimtabError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        return kept

    def _occupied(self, version: str) -> str | None:
        """Why this version cannot be the canary, or None."""
        share = self.experiment.serving.canary_share
        if not 0.0 < share < 1.0:
            return f"serving.canary_share = {share:g} leaves a canary or its control without users"
        running = running_canary(self.store, self.rule)
        return (
            None
            if running in (None, f"{CANARY_PREFIX}{version}")
            else f"{running} runs, and keeps its place until it has a verdict or is over"
        )

    def _require_canary(self, version: str) -> None:
        """Raises RevisionConflict if people have decided about the canary meanwhile."""
        running = running_canary(self.store, self.rule)
        if running != f"{CANARY_PREFIX}{version}":
            raise RevisionConflict(f"{version} is not the canary any more", fix="nothing to do: somebody has decided")

    def _point(self, channel: Channel, version: str, reason: str, token: int) -> ChannelRecord:
        ttl_ms = self.experiment.serving.checkpoint_ttl
        return point_channel(self.store, channel, version, self.decider(reason), ttl_ms=ttl_ms, fencing_token=token)

    def decider(self, reason: str) -> Decider:
        """This learner, as who decides now."""
        return Decider(by=OWNER, reason=reason[:SENTENCE_LIMIT], now_ms=self.clock(), key=self.key)


def _sentence(verdict: GateVerdict, held: str | None) -> str:
    reasons = "; ".join(reason.sentence for reason in verdict.reasons)
    return f"{verdict.verdict.value}: {reasons}" if held is None else f"{verdict.verdict.value}, but {held}: {reasons}"


def channel_for(verdict: Verdict, approval: str) -> Channel | None:
    """The channel that a verdict leads to: `canary` for a pass under automatic approval, otherwise `shadow`.

    Under manual approval a person promotes a pass from `shadow` (`trimtab policy promote`); a refused checkpoint gets
    no channel.
    """
    if verdict is Verdict.REFUSE:
        return None
    return Channel.CANARY if verdict is Verdict.PASS and approval == "auto" else Channel.SHADOW
