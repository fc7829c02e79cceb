"""A named world runs through the real agent and loggers, and every decision becomes an example with true rewards."""

from collections import Counter

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from feature_contract import FeatureContract
from producers.delivery.memory_log import MemoryLog
from simulator.homefeed_world import RunPlan, build_world, with_exploration_rate
from simulator.simulation import EventOutlet, SimulationReport, run_simulation
from simulator.world_stage import WorldStage
from simulator.worlds.faults import Faults
from simulator.worlds.named_worlds import world
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import ReferenceResult, reference_join
from tests.simulator_samples import HOMEFEED

START = 1_763_942_400_000
TOPIC = "trimtab.events"
CODEC = Codec(Registry.bundled())


def watched(experiment: Experiment) -> Experiment:
    """The experiment with a guardrail on hides."""
    hide = experiment.objectives[0].model_copy(update={"name": "hide", "kinds": ("hide",), "role": "guardrail"})
    return experiment.model_copy(update={"objectives": (*experiment.objectives, hide)})


EXPERIMENT = watched(with_exploration_rate(load_experiment(HOMEFEED), 0.5))


def lived(faults: Faults | None = None, requests: int = 800) -> tuple[SimulationReport, ReferenceResult]:
    log = MemoryLog()
    plan = RunPlan(3, requests, START, START + DAY_MS, users=300, world=world("homefeed"), faults=faults or Faults())
    report = run_simulation(EXPERIMENT, plan, EventOutlet(CODEC, log, TOPIC, log.partitions))
    return report, reference_join(JoinRule.from_experiment(EXPERIMENT), CODEC, log.records(TOPIC))


def rewards(joined: ReferenceResult) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    outcomes = [CODEC.decode(value).record["outcome"]["objectives"] for value in joined.examples.values()]
    return np.array([[each["reward"] for each in row] for row in outcomes])


def test_every_decision_is_joined_and_rewards_follow_the_truth() -> None:
    report, joined = lived(requests=800)
    assert len(joined.examples) == report.live.decisions == 800 and report.world == "homefeed/1"
    assert set(map(str, joined.fates.values())) <= {"joined", "duplicate", "outside"}
    assert list(report.live.true_value) == ["repin", "p2p", "hide"]
    truth = np.array(list(report.live.true_production_value.values()))
    found = rewards(joined).mean(axis=0)
    # Half of the requests explore, so that the mean is near production's and not at it.
    assert (np.abs(found - truth) < 0.15 * truth + 4 * np.sqrt(truth / 800)).all()


def test_faults_reach_the_log() -> None:
    _, sound = lived(requests=300)
    _, silent = lived(Faults(dead_until=2.0, dead_kind="repin"), requests=300)
    _, doubled = lived(Faults(duplicates=1.0), requests=300)
    assert rewards(silent)[:, 0].max() == 0 < rewards(silent)[:, 1].max()
    assert np.array_equal(rewards(doubled), rewards(sound))
    fates = Counter(map(str, doubled.fates.values()))
    assert fates["duplicate"] > 30


def test_requests_are_what_the_feature_contract_takes() -> None:
    stage, plan = build_world(EXPERIMENT, RunPlan(3, 60, START, START + DAY_MS, users=30, world=world("homefeed")))
    assert isinstance(stage, WorldStage)
    part = plan.part(0, 1)
    stride = stage.stride(part)
    record = stride.request(0).as_record("r", int(part.time[0]))
    encoded = FeatureContract.from_experiment(EXPERIMENT).encode([record])
    assert encoded.feeds()["user_embedding"].shape == (1, 8)
    assert set(stride.heads(0)) == {"repin", "p2p", "closeup", "dwell", "hide"}
    assert len(stride.rank(0, np.array([91.6, 9.1]))) == 6


def test_a_kind_that_is_not_counted_is_not_handed_out() -> None:
    experiment = load_experiment(HOMEFEED)
    stage, plan = build_world(experiment, RunPlan(3, 2_000, START, START + DAY_MS, users=300, world=world("homefeed")))
    stride = stage.stride(plan)
    for index in range(len(plan)):
        stride.rank(index, np.array([91.6, 9.1]))
    stride.respond({index: f"r-{index}" for index in range(0, len(plan), 2)})
    kinds = Counter(each.kind for each in stage.rest())
    assert set(kinds) == {"repin", "p2p"} == set(stage.kinds) and kinds["repin"] > 50


def test_null_has_no_true_lift_through_serving() -> None:
    log = MemoryLog()
    plan = RunPlan(3, 200, START, START + DAY_MS, users=60, world=world("null"))
    report = run_simulation(EXPERIMENT, plan, EventOutlet(CODEC, log, TOPIC, log.partitions))
    assert report.live.true_lift() == pytest.approx({"repin": 0.0, "p2p": 0.0, "hide": 0.0}, abs=1e-12)
