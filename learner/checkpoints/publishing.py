"""From the shelf to the fleet: the checkpoint into the policy store, and a channel as far as the verdict allows.

1. Take the learner's lease; its fencing token goes with every write.
2. Put the signed checkpoint (repeatable: the same bytes again change nothing).
3. Point the channel to it. **This publishes.**
4. Give the lease back.

Dying after 2 leaves a checkpoint nobody points to; dying after 3 leaves a lease that expires by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import Checkpoint
from learner.judgement.gate import GateVerdict, Verdict
from policy_store.backends.store import PolicyStore
from policy_store.decisions.governance import Decider, keep_fresh, point_channel, publish_checkpoint
from policy_store.records.channel_record import Channel
from policy_store.records.signing import SigningKey
from policy_store.records.store_errors import UnknownCheckpoint

LEASE_TTL_S = 60.0
OWNER = "learner"
SENTENCE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Published:
    """`channel` and `revision` are None for a refused checkpoint: it is in the store for inspection only."""

    version: str
    channel: str | None
    revision: int | None


@dataclass(frozen=True)
class Publisher:
    """Writes with one key into one store; `clock` is this machine's, in epoch ms: revisions follow the store's."""

    store: PolicyStore
    key: SigningKey
    experiment: Experiment
    clock: Callable[[], int]

    def publish(self, checkpoint: Checkpoint, verdict: GateVerdict) -> Published:
        """Raises LeaseHeld while another learner publishes, RevisionConflict, StoreUnreachable, StoreRefused.

        A RevisionConflict says whether somebody else was quicker, this machine's clock and the store's disagree, or the
        store needs a re-base first.
        """
        lease = self.store.acquire_lease(OWNER, LEASE_TTL_S)
        try:
            token = lease.token
            publish_checkpoint(self.store, checkpoint.manifest, checkpoint.blobs, self.key, fencing_token=token)
            channel = channel_for(verdict.verdict, self.experiment.gate.approval)
            if channel is None:
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

    def keep_alive(self) -> list[str]:
        """Prolong what the channels point to, without deciding anew; returns the channels that hold something.

        Trouble with one channel is raised only after the others were prolonged.
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
    """How far the learner itself may go: `stable` only for a pass under automatic approval, else `shadow`.

    Under manual approval a person promotes a pass from there (`trimtab policy promote`); a refused checkpoint gets no
    channel.
    """
    if verdict is Verdict.REFUSE:
        return None
    return Channel.STABLE if verdict is Verdict.PASS and approval == "auto" else Channel.SHADOW
