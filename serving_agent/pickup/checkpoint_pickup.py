"""The steps that take a checkpoint into service, numbered as in the operations guide:

1. verify   signature, role, revision, expiry, experiment, action space, feature contract, blob hashes
            (done by policy_store.decisions.verification before this module is called)
2. load     the ONNX graph
3. contract the action space has arms, and is no box; the graph accepts this experiment's features; its outputs are
            finite, in [0, 1], of the right shape, and the same for a request alone and in a batch
4. drift    live ranker heads against the reference; the network's values for recent requests against the reference
5. swap     by the refresher, between two requests; then report

If a checkpoint fails in steps 1 to 3 or by drift of its own Q heads, the old policy keeps serving. If the live heads
have drifted, production weights serve until the drift is over.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from drift_detection.head_drift import DriftVerdict
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, known_contracts
from policy_store.records import POLICY_BLOB, CheckpointManifest, ContractMismatch, SignedCheckpoint
from serving_agent.decide.scoring import InferenceFailed, PolicyNetwork
from serving_agent.decide.snapshot import LoadedPolicy
from serving_agent.pickup.drift_check import DriftCheck, HeadReferences
from serving_agent.pickup.probe_requests import probe_requests

BATCH_TOLERANCE = 1e-4


class PickupResult(StrEnum):
    """How a pick-up ended; a metric label."""

    ACCEPTED = "accepted"
    UNVERIFIED = "unverified"
    EXPIRED = "expired"
    FUTURE = "future"
    CONTRACT = "contract"
    Q_DRIFT = "q_drift"
    LIVE_DRIFT = "live_drift"


@dataclass(frozen=True, slots=True)
class PickupVerdict:
    """The outcome of a pick-up. `policy` is set exactly when it is accepted; `notes` are sentences for people."""

    result: PickupResult
    notes: tuple[str, ...] = ()
    policy: LoadedPolicy | None = None

    @property
    def waits_for_traffic(self) -> bool:
        """Whether new traffic alone can change the verdict."""
        return self.result in (PickupResult.Q_DRIFT, PickupResult.LIVE_DRIFT)


class CheckpointPickup:
    """Runs steps 2 to 4 for checkpoints that step 1 has verified."""

    def __init__(self, experiment: Experiment, drift: DriftCheck) -> None:
        self._experiment = experiment
        self._contracts = known_contracts(experiment)
        self._drift = drift

    def consider(self, manifest: CheckpointManifest, checkpoint: SignedCheckpoint) -> PickupVerdict:
        """The verdict on a verified checkpoint; faults of the checkpoint are in the verdict and not raised."""
        try:
            policy = self.load(manifest, checkpoint)
            references = HeadReferences.of_manifest(manifest.reference)
            live = self._drift.live_heads(references)
            if live.status == "drift":
                return PickupVerdict(PickupResult.LIVE_DRIFT, live.reasons)
            fresh = self._drift.q_heads(references, policy)
        except TrimtabError as fault:
            return PickupVerdict(PickupResult.CONTRACT, (str(fault),))
        if fresh.status == "drift":
            return PickupVerdict(PickupResult.Q_DRIFT, fresh.reasons)
        return PickupVerdict(PickupResult.ACCEPTED, _notes(live, fresh), policy)

    def load(self, manifest: CheckpointManifest, checkpoint: SignedCheckpoint) -> LoadedPolicy:
        """Runs only steps 2 and 3, for a node that starts from its disk. Raises ContractMismatch or InferenceFailed."""
        objectives = list(self._experiment.objective_names)
        if manifest.objectives != objectives:
            raise ContractMismatch(
                f"checkpoint {manifest.version} has the objectives {', '.join(manifest.objectives)}; the experiment has"
                f" {', '.join(objectives)}",
                fix="train a checkpoint for this experiment file",
            )
        contract = self._contracts.get(manifest.feature_contract)
        if contract is None:
            raise ContractMismatch(
                f"checkpoint {manifest.version} was trained on features other than the experiment file declares, or "
                "with an encoding that this version does not know",
                fix="give every process the same experiment file, and upgrade serving before the learner",
            )
        if self._experiment.action_space.kind == "box":
            raise ContractMismatch(
                f"checkpoint {manifest.version} ({manifest.algorithm}) scores arms, but the experiment's weights are"
                " a box, which has no arms to choose from",
                fix="give every [[weights]] steps for a checkpoint of this algorithm, under a new experiment name",
            )
        if POLICY_BLOB not in checkpoint.blobs:
            raise ContractMismatch(
                f"checkpoint {manifest.version} has no blob {POLICY_BLOB}", fix="publish it again with its graph"
            )
        network = PolicyNetwork(
            checkpoint.blobs[POLICY_BLOB], arms=self._experiment.action_space.arms, objectives=len(objectives)
        )
        policy = LoadedPolicy(manifest.version, manifest.created_at, network, contract)
        self._probe(network, contract)
        return policy

    def _probe(self, network: PolicyNetwork, contract: FeatureContract) -> None:
        batch = contract.encode(probe_requests(self._experiment))
        together = network.score(batch.feeds())
        for row in range(batch.rows):
            alone = network.score(batch.take([row]).feeds())[0]
            if not np.allclose(alone, together[row], atol=BATCH_TOLERANCE, rtol=0.0):
                raise InferenceFailed(
                    f"probe request {row} scores differently alone and in a batch",
                    fix="recompute the batch-norm statistics before export",
                )


def _notes(live: DriftVerdict, fresh: DriftVerdict) -> tuple[str, ...]:
    """Notes for people on a check that passed: above all, that it had too little data."""
    return tuple(f"insufficient data: {reason}" for verdict in (live, fresh) for reason in verdict.reasons)
