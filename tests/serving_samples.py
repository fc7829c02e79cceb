"""A small serving world for tests: an experiment, tiny ONNX policies, a signed store and a log in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from drift_detection.quantile_sketch import QuantileSketch
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, parse_experiment
from event_schemas.records import Record
from event_schemas.registry import Registry
from feature_contract import FeatureContract
from feature_contract.contract import ENCODING_VERSION
from policy_store.backends.memory_store import MemoryStore
from policy_store.backends.store import PolicyStore
from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.decisions.kill_decisions import kill, kill_state, resume
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verification import TrustRule
from policy_store.records.channel_record import Channel
from policy_store.records.checkpoint_record import CheckpointManifest, describe_blobs
from policy_store.records.governed_record import SignedRecord
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.signing import Role, SigningKey, TrustedKeys
from producers.delivery.memory_log import MemoryLog
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_answers import SamplingNetwork
from serving_agent.decide.policy_networks import ValueNetwork
from serving_agent.decide.snapshot import ServingSnapshot
from tests.policy_store.store_samples import set_preference

NOW = 1_750_000_000_000
DAY_MS = 86_400_000
DIM = 4
LEARNER_KEY = SigningKey.generate(Role.LEARNER, "tests")
GOVERNANCE_KEY = SigningKey.generate(Role.GOVERNANCE, "tests")
TRUSTED = TrustedKeys.of(LEARNER_KEY, GOVERNANCE_KEY)

Document = dict[str, Any]


def serving_experiment(**sections: Document) -> Experiment:
    """Two weights on a 3 × 3 grid (10 arms with production), two objectives; sections are merged over it."""
    document: Document = {
        "experiment": {"name": "homefeed", "salt": "pepper", "exploration_rate": 0.1, "control_rate": 0.05},
        "weights": [
            {"name": "repin", "production": 91.6, "low": 10, "high": 200, "steps": 3},
            {"name": "p2p", "production": 9.1, "low": 1, "high": 30, "steps": 3},
        ],
        "objectives": [
            {"name": "repin", "kinds": ["repin"], "attribution": "30m"},
            {"name": "p2p", "kinds": ["p2p"], "attribution": "30m"},
        ],
        "cohorts": [{"name": "CORE"}],
        "features": {"user_embedding_dim": DIM},
        "preference": {"alpha_objective": "p2p", "alpha": 0.1},
        # Generous: a loaded test machine must not turn decisions into time-outs.
        "serving": {"budget_ms": 2000, "poll": "200ms", "min_drift_samples": 50},
    }
    for name, section in sections.items():
        document[name] = {**document.get(name, {}), **section}
    return parse_experiment(document, Path("tests.toml"))


def box_experiment(**sections: Document) -> Experiment:
    """The same two weights in a box, explored normally around production; sections are merged over it."""
    document = serving_experiment(**sections).model_dump(mode="json", exclude_none=True)
    for weight, sd in zip(document["weights"], (20.0, 3.0), strict=True):
        del weight["steps"]
        weight["sd"] = sd
    document["experiment"]["exploration_kind"] = "normal"
    return Experiment.model_validate(document)


def catalogue_experiment(**sections: Document) -> Experiment:
    """Three arms with one feature, the middle one production; sections are merged over the two-weight experiment."""
    document = serving_experiment(**sections).model_dump(mode="json", exclude={"weights", "catalogue"})
    arms = [{"name": name, "features": [float(x)]} for x, name in enumerate("abc")]
    document["catalogue"] = {"production": "b", "features": ["x"], "arms": arms}
    return Experiment.model_validate(document)


def sampling(experiment: Experiment, network: SamplingNetwork, version: str = "s1") -> LoadedPolicy:
    """A policy that serves a distribution."""
    return LoadedPolicy(version, NOW, network, FeatureContract.from_experiment(experiment))


def graph_bytes(
    nodes: list[Any],
    constants: dict[str, NDArray[Any]],
    dim: int = DIM,
    outputs: tuple[str, ...] = ("q",),
    preference: int = 0,
) -> bytes:
    """An ONNX graph from `user_embedding` float32[n, dim], and `preference` float32[n, preference], to its outputs."""
    inputs = {"user_embedding": dim} | ({"preference": preference} if preference else {})
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def linear_graph(bias: NDArray[np.float32], slope: NDArray[np.float32] | None = None) -> bytes:
    """q = sigmoid(user_embedding @ slope + bias); bias [arms, objectives], slope [DIM, arms · objectives]."""
    arms, objectives = bias.shape
    slope = np.zeros((DIM, arms * objectives), dtype=np.float32) if slope is None else slope
    return graph_bytes(_linear_nodes("user_embedding"), _linear_constants(bias, slope))


def _linear_nodes(users: str) -> list[Any]:
    return [
        helper.make_node("Gemm", [users, "slope", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["q"]),
    ]


def _linear_constants(bias: NDArray[np.float32], slope: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    shape = np.array([-1, *bias.shape], dtype=np.int64)
    return {"slope": slope, "bias": bias.reshape(1, -1), "shape": shape}


def preferring(experiment: Experiment, **arm_of_objective: int) -> bytes:
    """A graph whose objective `o` is best served by arm `arm_of_objective[o]`, whatever the request.

    Its values depend a little on the request, because pick-up takes a constant network for broken.
    """
    names = experiment.objective_names
    bias = np.full((experiment.action_space.arms, len(names)), -2.0, dtype=np.float32)
    for name, arm in arm_of_objective.items():
        bias[arm, names.index(name)] = 2.0
    slope = np.full((DIM, bias.size), 1e-3, dtype=np.float32)
    nodes = [helper.make_node("Tanh", ["user_embedding"], ["bounded"]), *_linear_nodes("bounded")]
    return graph_bytes(nodes, _linear_constants(bias, slope))


def slow_graph(experiment: Experiment) -> bytes:
    """A right answer after some seconds of matrix products."""
    size, steps = 512, 400
    arms, objectives = experiment.action_space.arms, len(experiment.objective_names)
    constants: dict[str, NDArray[Any]] = {
        "wide": np.array([size, size], dtype=np.int64),
        "mix": np.full((size, size), 1.0 / size, dtype=np.float32),
        "one": np.array([1], dtype=np.int64),
        "axes": np.array([1], dtype=np.int64),
        "shape": np.array([1, arms, objectives], dtype=np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", ["user_embedding"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Expand", ["mean", "wide"], ["step0"]),
        *(helper.make_node("MatMul", [f"step{i}", "mix"], [f"step{i + 1}"]) for i in range(steps)),
        helper.make_node("ReduceMean", [f"step{steps}"], ["scalar"], keepdims=1),
        helper.make_node("Sigmoid", ["scalar"], ["value"]),
        helper.make_node("Expand", ["value", "shape"], ["q"]),
    ]
    return graph_bytes(nodes, constants)


def loaded(experiment: Experiment, graph: bytes, version: str = "v1", encoding: int = ENCODING_VERSION) -> LoadedPolicy:
    """A policy as pick-up would load it, trained with a version of the encoding."""
    network = ValueNetwork(graph, arms=experiment.action_space.arms, objectives=len(experiment.objective_names))
    return LoadedPolicy(version, NOW, network, FeatureContract.from_experiment(experiment, encoding))


def q_network(policy: LoadedPolicy) -> ValueNetwork:
    """The network of a policy that answers with values."""
    assert isinstance(policy.network, ValueNetwork)
    return policy.network


def snapshot_of(experiment: Experiment, **parts: Any) -> ServingSnapshot:
    """A snapshot with the experiment file's preference unless given."""
    return ServingSnapshot(**{"preference": ObjectiveWeights.in_force(experiment), **parts})


def sketch_of(values: Any) -> Document:
    """A reference sketch as a manifest holds it."""
    return QuantileSketch.from_sample(np.asarray(values, dtype=np.float64)).as_dict()


@dataclass
class StoreDesk:
    """The learner and the people, at the desk of one store; one in memory has the desk's time."""

    experiment: Experiment
    store: PolicyStore = field(default_factory=lambda: MemoryStore("homefeed"))
    now: int = NOW

    def __post_init__(self) -> None:
        if isinstance(self.store, MemoryStore):
            self.store.clock = lambda: self.now

    def publish(self, version: str, graph: bytes, **manifest: Any) -> None:
        """Put a signed checkpoint into the store."""
        blobs = {"policy.onnx": graph}
        content = {
            "version": version,
            "experiment": self.experiment.name,
            "created_at": self.now,
            "algorithm": "q_network",
            "action_space": self.experiment.action_space.digest,
            "arms": self.experiment.action_space.arms,
            "objectives": list(self.experiment.objective_names),
            "feature_contract": FeatureContract.from_experiment(self.experiment).digest,
            "blobs": describe_blobs(blobs),
        }
        publish_checkpoint(self.store, CheckpointManifest(**{**content, **manifest}), blobs, LEARNER_KEY)

    def point(self, channel: Channel, version: str, *, ttl_ms: int = DAY_MS) -> None:
        """Point a channel to a version."""
        point_channel(self.store, channel, version, self.decider(), ttl_ms=ttl_ms)

    def alpha(self, alpha: float, **cohorts: float) -> None:
        """Set the preference."""
        set_preference(self.store, PreferenceTarget(alpha=alpha), self.decider(), trust=self.rule)
        for cohort, value in cohorts.items():
            set_preference(self.store, PreferenceTarget(alpha=value), self.decider(), cohort=cohort, trust=self.rule)

    def kill(self, reason: str = "test") -> SignedRecord:
        """Stop the fleet; the signed kill."""
        said = Decider(by="a person", reason=reason, now_ms=self.now, key=GOVERNANCE_KEY)
        return kill(self.store, said).signed_by(GOVERNANCE_KEY)

    def resume(self, *kills: str) -> None:
        """Lift kills by their hashes, or every one that is open in the store."""
        named = list(kills) or [each.hash for each in kill_state(self.store, self.rule).open_kills]
        resume(self.store, named, self.decider())

    @property
    def rule(self) -> TrustRule:
        """What nodes of the experiment believe."""
        return TrustRule(TRUSTED, self.experiment.name, self.experiment.action_space.digest)

    def decider(self) -> Decider:
        """A person with the governance key."""
        return Decider(by="a person", reason="test", now_ms=self.now, key=GOVERNANCE_KEY)


def codec() -> Codec:
    """The bundled codec."""
    return Codec(Registry.bundled())


def logged(log: MemoryLog, name: str, topic: str = "trimtab.events") -> list[Record]:
    """The records of one type in a log, decoded."""
    reader = codec()
    decoded = [reader.decode(record.value) for record in log.records(topic)]
    return [each.record for each in decoded if each.name == name]


def embedded(value: float) -> list[float]:
    """A user embedding of one repeated value."""
    return [value] * DIM
