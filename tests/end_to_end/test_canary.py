"""A pass under automatic approval, from the canary to its end: superior, harmed, or neither.

Two nodes serve from a real Redis; what they log becomes the examples of the learner's machine.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.registry import Registry
from feature_contract import FeatureContract
from learner.canary_step import CanaryStep
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.publishing import Published, Publisher
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_files import EXAMPLES_FOLDER
from learner.judgement.gate import GateVerdict, Verdict
from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.releases import kept_releases
from policy_store.decisions.verification import Approval, TrustRule
from policy_store.records.checkpoint_record import describe_blobs
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from tests.learner.arm_samples import decision
from tests.learner_samples import World
from tests.policy_store.store_samples import LEARNER, TRUSTED, fresh_experiment, manifest
from tests.serving_samples import logged, preferring

CODEC = Codec(Registry.bundled())
USERS, VISITS = 800, 4
BASE = 0.3


def document(name: str) -> dict[str, Any]:
    return {
        "experiment": {"name": name, "salt": "s", "exploration_rate": 0.05, "control_rate": 0.05, "log_rate": 1.0},
        "weights": [
            {"name": "repin", "production": 91.6, "low": 10, "high": 200, "steps": 3},
            {"name": "p2p", "production": 9.1, "low": 1, "high": 30, "steps": 3},
        ],
        "objectives": [
            {"name": "repin", "kinds": ["repin"], "attribution": "5m"},
            {"name": "p2p", "kinds": ["p2p"], "attribution": "5m"},
        ],
        "guardrails": [{"name": "visits", "kinds": ["visit"]}],
        "features": {"user_embedding_dim": 4},
        "gate": {"approval": "auto", "margin": 0.3, "min_canary_time": "0s"},
        "preference": {"alpha_objective": "p2p", "alpha": 0.1},
        "serving": {"canary_share": 0.5, "poll": "100ms", "budget_ms": 10_000},
    }


@dataclass
class Surface:
    """A learner, two nodes and their users, around one Redis."""

    redis_url: str
    directory: Path
    stack: ExitStack
    now: int = field(default_factory=wall_clock_ms)

    def __post_init__(self) -> None:
        self.experiment = Experiment.model_validate(document(fresh_experiment()))
        self.world, self.log = World(self.experiment, CODEC), MemoryLog()
        self.store = self._store()
        space = self.experiment.action_space.digest
        rule = TrustRule(TRUSTED, self.experiment.name, space, Approval.AUTO)
        self.publisher = Publisher(self.store, LEARNER, self.experiment, wall_clock_ms, rule)
        self.said: list[str] = []
        self.step = CanaryStep(self.publisher, self.directory, lambda _, detail: self.said.append(detail))
        self.nodes = [self._node(name) for name in ("n1", "n2")]

    def publish(self, version: str) -> Published:
        """What the learner publishes after a pass of the gate."""
        blobs = {"policy.onnx": preferring(self.experiment, repin=3)}
        fields: dict[str, Any] = {
            "action_space": self.experiment.action_space.digest,
            "arms": self.experiment.action_space.arms,
            "objectives": list(self.experiment.objective_names),
            "feature_contract": FeatureContract.from_experiment(self.experiment).digest,
            "blobs": {name: entry.model_dump() for name, entry in describe_blobs(blobs).items()},
            "evaluation": {"verdict": "pass", "preference": ObjectiveWeights.in_force(self.experiment).as_dict()},
        }
        made = manifest(self.experiment.name, version, created_at=wall_clock_ms(), **fields)
        return self.publisher.publish(Checkpoint(made, blobs, b""), GateVerdict(Verdict.PASS, ()))

    def serve(self) -> Counter[tuple[str | None, str]]:
        """Every user comes a few times; (arm of an experiment, slice) of what was decided."""
        found: Counter[tuple[str | None, str]] = Counter()
        start = wall_clock_ms()
        for number in range(USERS * VISITS):
            user, node = number % USERS, self.nodes[number % 2]
            request = DecisionRequest(f"r{start}-{number}", f"u{user}", user_embedding=[0.0] * 4)
            made = node.agent.decide(request)
            assert made.applied()
            found[made.facts.experiment_arm, made.slice.value] += 1
        return found

    def ingest(self, rate: Callable[[str, str], float]) -> None:
        """Make examples of all that was logged; `rate` is P(outcome) by outcome and arm."""
        rng, examples = np.random.default_rng(4), []
        # Delivery goes on meanwhile: what is read after the actions has the requests of all of them.
        actions = logged(self.log, "Action")
        requests = {each["request_id"]: each for each in logged(self.log, "Request")}
        rates = {each["request_id"]: each["sampling_rate"] for each in logged(self.log, "Propensity")}
        for number, action in enumerate(actions):
            label, key = action["experiment_arm"] or "none/none", action["request_id"]
            outcomes = {
                each.name: float(rng.random() < rate(each.name, label.split("/")[1]))
                for each in self.experiment.counted
            }
            request = requests[key]
            examples.append(
                decision(
                    self.world,
                    number,
                    request_id=key,
                    user=request["user_id"],
                    at=_ms(request["event_time"]),
                    arm=action["experiment_arm"],
                    slice=action["slice"],
                    rate=rates[key],
                    **outcomes,
                )
            )
        with SegmentStore(self.directory / EXAMPLES_FOLDER, "t.examples", 10**15) as segments:
            segments.append(self.world.decoded(examples), {0: len(examples)})

    def await_versions(self, **expected: str) -> None:
        """Wait until all nodes serve these versions by channel, and no others."""
        deadline = time.monotonic() + 30
        while any(node.snapshot.versions() != expected for node in self.nodes):
            assert time.monotonic() < deadline, [node.snapshot.versions() for node in self.nodes]
            time.sleep(0.02)

    def _store(self) -> RedisStore:
        store = RedisStore(self.redis_url, self.experiment.name)
        self.stack.callback(store.close)
        return store

    def _node(self, name: str) -> ServingNode:
        config = ServingNodeConfig(self.experiment, TRUSTED, name)
        node = build_node(config, NodeConnections(self._store(), self.log, CODEC))
        self.stack.callback(node.close)
        node.start()
        return node


def _ms(moment: Any) -> int:
    return int(moment.timestamp() * 1000) if hasattr(moment, "timestamp") else int(moment)


@pytest.fixture
def surface(redis_url: str, tmp_path: Path) -> Any:
    with ExitStack() as stack:
        yield Surface(redis_url, tmp_path, stack)


def served_as_canary(surface: Surface) -> None:
    """The first pass serves half of the users, beside as many whom production serves: stable is empty."""
    assert surface.publish("v1").channel == "canary"
    surface.await_versions(canary="v1")
    found = surface.serve()
    arms = {label for label, _ in found}
    assert arms == {"canary-v1/canary", "canary-v1/control"}
    assert found["canary-v1/canary", "POLICY"] > 0 and found["canary-v1/canary", "FALLBACK"] == 0
    assert found["canary-v1/control", "FALLBACK"] > 0 and found["canary-v1/control", "POLICY"] == 0


def test_a_canary_that_is_better_becomes_stable(surface: Surface) -> None:
    served_as_canary(surface)
    surface.ingest(lambda outcome, arm: BASE * (1.8 if (outcome, arm) == ("repin", "canary") else 1.0))
    taken = surface.step.take()
    assert taken is not None and (taken.step, taken.done) == ("promote", True), surface.said
    surface.await_versions(stable="v1")
    assert {label for label, _ in surface.serve()} == {None}, "the experiment is over"
    [release] = kept_releases(surface.store)
    assert (release["ended"], 0.3 < release["online"]["repin"]["lift"] < 1.5) == ("promoted", True)
    assert surface.publish("v2").channel == "canary", "its control is stable now"
    surface.await_versions(stable="v1", canary="v2")


def test_a_canary_that_harms_a_guardrail_is_withdrawn(surface: Surface) -> None:
    served_as_canary(surface)
    surface.ingest(lambda outcome, arm: BASE * (0.5 if (outcome, arm) == ("visits", "canary") else 1.0))
    taken = surface.step.take()
    assert taken is not None and (taken.step, taken.reason) == ("withdraw", "visits is harmed")
    surface.await_versions()
    assert {slice_name for _, slice_name in surface.serve()} <= {"FALLBACK", "EXPLORE", "CONTROL"}
    assert surface.store.channel("stable") is None
    assert surface.publish("v2").channel == "canary", "the next may begin"


def test_a_canary_that_changes_nothing_stays_and_keeps_its_place(surface: Surface) -> None:
    served_as_canary(surface)
    surface.ingest(lambda _, arm: BASE)
    taken = surface.step.take()
    assert taken is not None and taken.step == "wait"
    later = surface.publish("v2")
    assert (later.channel, later.held is not None) == ("shadow", True)
    surface.await_versions(canary="v1", shadow="v2")
    assert kept_releases(surface.store) == []
