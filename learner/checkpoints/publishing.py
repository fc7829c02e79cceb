"""Publishes a checkpoint to the policy store, and points to it the channel that the verdict allows.

1. Acquire the learner's lease; its fencing token goes with every write.
2. Store the signed checkpoint; storing the same bytes again changes nothing.
3. Point the channel to it. **This publishes.**
4. Release the lease.

If the process dies after 2, no channel points to the checkpoint; if it dies after 3, the lease expires by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import Checkpoint
from learner.judgement.gate import GateVerdict, Verdict
from policy_store.backends import PolicyStore
from policy_store.decisions import Decider, keep_fresh, point_channel, publish_checkpoint
from policy_store.records import (
    Channel,
    ChannelRecord,
    RecordMalformed,
    SigningKey,
    UnknownCheckpoint,
    channel_slot,
)

LEASE_TTL_S = 60.0
OWNER = "learner"
SENTENCE_LIMIT = 500
STABLE_SLOT = channel_slot(Channel.STABLE)


@dataclass(frozen=True, slots=True)
class Published:
    """`channel` and `revision` are None for a checkpoint that is in the store for inspection only.

    Such is a refused one, and one without a pass while shadow holds a pass that waits for people.
    """

    version: str
    channel: str | None
    revision: int | None


@dataclass(frozen=True)
class Publisher:
    """Writes to one store with one key; `clock` is this machine's (epoch ms), revisions follow the store's clock."""

    store: PolicyStore
    key: SigningKey
    experiment: Experiment
    clock: Callable[[], int]

    def publish(self, checkpoint: Checkpoint, verdict: GateVerdict) -> Published:
        """Raises LeaseHeld while another learner publishes, RevisionConflict, StoreUnreachable or StoreRefused.

        A RevisionConflict says whether someone else published first, this machine's clock and the store's disagree, or
        the store needs a re-base first.
        """
        lease = self.store.acquire_lease(OWNER, LEASE_TTL_S)
        try:
            token = lease.token
            publish_checkpoint(self.store, checkpoint.manifest, checkpoint.blobs, self.key, fencing_token=token)
            channel = channel_for(verdict.verdict, self.experiment.gate.approval)
            if channel is None or (verdict.verdict is not Verdict.PASS and self._pass_waits()):
                return Published(checkpoint.version, None, None)
            record = point_channel(
                self.store,
                channel,
                checkpoint.version,
                self._decider(verdict),
                ttl_ms=self.experiment.serving.checkpoint_ttl,
                fencing_token=token,
            )
            return Published(checkpoint.version, channel.value, record.revision)
        finally:
            self.store.release_lease(lease)

    def has(self, version: str) -> bool:
        """Whether the store has this checkpoint."""
        return version in self.store.versions()

    def _pass_waits(self) -> bool:
        """Whether shadow points to a checkpoint that passed, fits, and was never in stable: people may yet promote it.

        What cannot be read waits for nobody.
        """
        signed = self.store.channel(Channel.SHADOW)
        if signed is None:
            return False
        try:
            version = ChannelRecord.parse(signed.record).version
            manifest = self.store.get_checkpoint(version).parsed()
            served = {ChannelRecord.parse(each.record).version for each in self.store.history(STABLE_SLOT)}
        except (UnknownCheckpoint, RecordMalformed):
            return False
        fits = manifest.action_space == self.experiment.action_space.digest
        return fits and manifest.verdict == Verdict.PASS and version not in served

    def keep_alive(self) -> list[str]:
        """Extend the expiry of all channel records without a new decision; returns the channels that have a record.

        An error of one channel is raised only after the others were extended.
        """
        kept: list[str] = []
        faults: list[TrimtabError] = []
        said = Decider(by=OWNER, reason="the learner runs", now_ms=self.clock(), key=self.key)
        for channel in Channel:
            try:
                keep_fresh(self.store, channel, said, ttl_ms=self.experiment.serving.checkpoint_ttl)
                kept.append(channel.value)
            except UnknownCheckpoint:
                continue
            except TrimtabError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]
        return kept

    def _decider(self, verdict: GateVerdict) -> Decider:
        reason = f"{verdict.verdict.value}: {'; '.join(reason.sentence for reason in verdict.reasons)}"
        return Decider(by=OWNER, reason=reason[:SENTENCE_LIMIT], now_ms=self.clock(), key=self.key)


def channel_for(verdict: Verdict, approval: str) -> Channel | None:
    """The channel that the learner itself may set: `stable` for a pass under automatic approval, otherwise `shadow`.

    Under manual approval a person promotes a pass from `shadow` (`trimtab policy promote`); a refused checkpoint gets
    no channel.
    """
    if verdict is Verdict.REFUSE:
        return None
    return Channel.STABLE if verdict is Verdict.PASS and approval == "auto" else Channel.SHADOW
