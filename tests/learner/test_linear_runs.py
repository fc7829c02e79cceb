"""A run with `linear`: trained, judged, exported, picked up by a node, and served with the values that were judged."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.judgement.gate import Verdict
from learner.learner_run import Learner, RunReport
from learner.network.algorithm import make_algorithm
from learner.network.tensor_file import read_tensors
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import publish_checkpoint
from policy_store.decisions.verification import TrustRule
from policy_store.decisions.verified_reading import read_channel_verified
from policy_store.records import WEIGHTS_BLOB, ObjectiveWeights
from policy_store.records.channel_record import Channel
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from serving_agent.decide import DecisionRequest, PolicyAgent, ServingSnapshot, SnapshotHolder
from serving_agent.decide.policy_agent import AgentOptions
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup, PickupResult
from serving_agent.pickup.drift_check import DriftCheck
from tests.learner_samples import NOW, World, ingested, tallied
from tests.serving_samples import LEARNER_KEY, TRUSTED, StoreDesk, q_network


@dataclass(frozen=True)
class LinearRun:
    experiment: Experiment
    world: World
    learner: Learner
    report: RunReport


@pytest.fixture(scope="module")
def ran(
    make_experiment: Callable[..., Experiment], codec: Codec, tmp_path_factory: pytest.TempPathFactory
) -> LinearRun:
    plain = make_experiment()
    spec = plain.learner.model_copy(update={"algorithm": "linear"})
    serving = plain.serving.model_copy(update={"budget_ms": 60_000})
    rates = plain.experiment.model_copy(update={"exploration_rate": 0.01, "log_rate": 1.0})
    experiment = plain.model_copy(update={"learner": spec, "serving": serving})
    world, directory = World(experiment, codec), tmp_path_factory.mktemp("linear")
    examples = world.examples(6_000)
    ingested(world, examples, directory)
    learner = Learner(experiment, directory, lambda: NOW, tallies=lambda: tallied(experiment, examples))
    report = learner.run(ObjectiveWeights.in_force(experiment))
    return LinearRun(experiment.model_copy(update={"experiment": rates}), world, learner, report)


def test_what_is_better_passes_the_gate(ran: LinearRun) -> None:
    assert ran.report.verdict.verdict is Verdict.PASS
    manifest = ran.report.checkpoint.manifest
    assert (manifest.algorithm, manifest.answer, manifest.parent) == ("linear", "values", None)
    assert manifest.window["start"] == "cold: linear depends on its training window alone"
    assert all(lift["relative"] > 0.1 for lift in ran.report.as_dict()["lifts"].values())
    evaluation = json.loads(ran.report.checkpoint.blobs["evaluation.json"])
    assert evaluation["judgement"] is not None and evaluation["linear_rival"] is None


def test_a_later_run_starts_anew_and_gives_the_same(ran: LinearRun) -> None:
    again = ran.learner.run(ObjectiveWeights.in_force(ran.learner.experiment), warm=False)
    assert again.checkpoint.blobs[WEIGHTS_BLOB] == ran.report.checkpoint.blobs[WEIGHTS_BLOB]


def test_a_node_serves_the_values_that_were_judged(ran: LinearRun) -> None:
    experiment, checkpoint = ran.experiment, ran.report.checkpoint
    desk = StoreDesk(experiment, MemoryStore(experiment.name), now=NOW)
    contract = FeatureContract.from_experiment(experiment)
    publish_checkpoint(desk.store, checkpoint.manifest, checkpoint.blobs, LEARNER_KEY)
    desk.point(Channel.STABLE, checkpoint.version)
    known = frozenset({contract.digest})
    rule = TrustRule(TRUSTED, experiment.name, experiment.action_space.digest, feature_contracts=known)
    found = read_channel_verified(desk.store, Channel.STABLE, rule, now_ms=NOW)
    assert found is not None
    picked = CheckpointPickup(experiment, DriftCheck(experiment, RecentTraffic())).consider(
        found.manifest, found.signed
    )
    assert picked.result is PickupResult.ACCEPTED and picked.policy is not None, picked.notes

    trained = make_algorithm(experiment, contract)
    trained.restore(read_tensors(checkpoint.blobs[WEIGHTS_BLOB], "weights"), {})
    examples = ran.world.examples(60, first=20_000)
    inputs = ran.world.rows(examples).inputs
    values = trained.score(inputs)
    np.testing.assert_allclose(q_network(picked.policy).score(inputs.feeds()), values, atol=1e-5)

    weights = ObjectiveWeights.in_force(experiment)
    snapshot = ServingSnapshot(preference=weights, stable=picked.policy)
    logger = DecisionLogger(ran.world.codec, MemoryLog(), "events", clock=lambda: NOW)
    options = AgentOptions(clock=lambda: NOW)
    with closing(PolicyAgent(experiment, logger, SnapshotHolder(snapshot), options=options)) as agent:
        served = [agent.decide(asked(example["request"])) for example in examples]
    policy = [row for row, decision in enumerate(served) if decision.slice == "POLICY"]
    assert len(policy) > 50
    utility = values @ np.array(weights.default)
    assert [served[row].arm for row in policy] == utility.argmax(axis=1)[policy].tolist()


def asked(record: dict[str, Any]) -> DecisionRequest:
    """The request of an example, asked anew."""
    return DecisionRequest(
        request_id=record["request_id"],
        user_id=record["user_id"],
        cohort=record["cohort"],
        event_time=record["event_time"],
        user_embedding=record["user_embedding"],
        context={each["name"]: each["value"] for each in record["context"]},
        history=record["history"],
    )
