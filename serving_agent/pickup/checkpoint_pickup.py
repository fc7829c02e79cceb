"""The steps that take a checkpoint into service, numbered as in the operations guide:

1. verify   signature, role, revision, expiry, experiment, action space, feature contract, blob hashes
            (done by policy_store.decisions.verification before this module is called)
2. load     the ONNX graph
3. contract the answer fits the action space, and the preference is known; the graph accepts this experiment's features;
            its answers can be served, differ between requests and arms, and are the same for a request alone and in a
            batch
4. drift    live ranker heads against the reference; the network's answers to recent requests against the reference
5. swap     by the refresher, between two requests; then report

If a checkpoint fails in steps 1 to 3 or by drift of its own answers, the old policy keeps serving. If the live heads
have drifted, production weights serve until the drift is over.
"""

from dataclasses import dataclass
from enum import StrEnum

from drift_detection.head_drift import DriftVerdict
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, known_contracts
from policy_store.records import POLICY_BLOB, PREFERENCE_INPUT, CheckpointManifest, ContractMismatch, SignedCheckpoint
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_networks import answer_network
from serving_agent.pickup.answer_checks import pinned_weights, require_fitting_answer, require_sound_answers
from serving_agent.pickup.drift_check import DriftCheck, HeadReferences


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
            fresh = self._drift.answer_heads(references, policy)
        except TrimtabError as fault:
            return PickupVerdict(PickupResult.CONTRACT, (str(fault),))
        if fresh.status == "drift":
            return PickupVerdict(PickupResult.Q_DRIFT, fresh.reasons)
        return PickupVerdict(PickupResult.ACCEPTED, _notes(live, fresh), policy)

    def load(self, manifest: CheckpointManifest, checkpoint: SignedCheckpoint) -> LoadedPolicy:
        """Runs only steps 2 and 3, for a node that starts from its disk.

        Raises ContractMismatch, InferenceFailed or UnusableAnswer.
        """
        contract = self._contract_of(manifest)
        require_fitting_answer(manifest, self._experiment)
        if POLICY_BLOB not in checkpoint.blobs:
            raise ContractMismatch(
                f"checkpoint {manifest.version} has no blob {POLICY_BLOB}", fix="publish it again with its graph"
            )
        space, objectives = self._experiment.action_space, len(self._experiment.objective_names)
        network = answer_network(manifest.answer, checkpoint.blobs[POLICY_BLOB], space, objectives)
        pinned = pinned_weights(manifest, self._experiment, takes_preference=PREFERENCE_INPUT in network.inputs)
        require_sound_answers(network, contract, self._experiment, pinned)
        samples = manifest.selection == "sample"
        return LoadedPolicy(manifest.version, manifest.created_at, network, contract, samples, pinned)

    def _contract_of(self, manifest: CheckpointManifest) -> FeatureContract:
        """The encoding that the checkpoint was trained with; raises ContractMismatch."""
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
        return contract


def _notes(live: DriftVerdict, fresh: DriftVerdict) -> tuple[str, ...]:
    """Notes for people on a check that passed: above all, that it had too little data."""
    return tuple(f"insufficient data: {reason}" for verdict in (live, fresh) for reason in verdict.reasons)
