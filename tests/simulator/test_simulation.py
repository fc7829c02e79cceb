"""A whole simulation: everything joins, and rewards are as frequent as their true probabilities."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.log_record import LogRecord
from event_schemas.records import ACTION, FATES, HEARTBEAT, REQUEST
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from feature_contract import FeatureContract
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import MemoryExampleSource
from learner.examples.heavy_units import heavy_units
from learner.examples.learning_rows import COLUMNS
from learner.examples.stored_counts import StoredCounts
from learner.examples.tally_reading import read_tallies
from learner.examples.tally_shelf import KeptTallies
from learner.examples.training_window import control_rows, rows_since
from learner.judgement.log_judgement import ExploredLog, judge_log
from learner.judgement.log_soundness import LogVerdict
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from simulator.homefeed_world import RunPlan, with_exploration_rate
from simulator.local_serving import SideTopics
from simulator.simulation import EventOutlet, SimulationIncomplete, run_simulation
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import reference_join
from tests.simulator_samples import HOMEFEED

START = 1_700_006_400_000
TOPIC = "trimtab.events"
CODEC = Codec(Registry.bundled())
PRODUCTION_ONLY = with_exploration_rate(load_experiment(HOMEFEED), 0.0)


def test_every_decision_becomes_an_example_and_rewards_follow_the_truth() -> None:
    log, told = MemoryLog(), list[int]()
    outlet = EventOutlet(CODEC, log, TOPIC, log.partitions)
    plan = RunPlan(3, 1500, START, START + 2 * DAY_MS, users=300)
    report = run_simulation(PRODUCTION_ONLY, plan, outlet, progress=told.append)
    joined = reference_join(JoinRule.from_experiment(PRODUCTION_ONLY), CODEC, log.records(TOPIC))

    assert told[-1] == len(joined.examples) == 1500 and told == sorted(told)
    fates = Counter(str(fate) for fate in joined.fates.values())
    assert set(fates) <= {"joined", "duplicate", "outside"} <= {*FATES}
    outcomes = [CODEC.decode(value).record["outcome"]["objectives"] for value in joined.examples.values()]
    rewards = np.array([[objective["reward"] for objective in row] for row in outcomes])
    truth = np.array([report.live.true_production_value[name] for name in ("repin", "p2p")])
    error = np.sqrt(truth * (1 - truth) / len(rewards))
    assert (np.abs(rewards.mean(axis=0) - truth) < 4 * error).all()
    assert report.live.true_lift() == pytest.approx({"repin": 0.0, "p2p": 0.0})


def test_the_log_of_a_simulation_is_sound_and_complete() -> None:
    """By what its own agent counted; without those tallies nobody knows."""
    experiment = with_exploration_rate(load_experiment(HOMEFEED), 0.95)
    log, plan = MemoryLog(), RunPlan(3, 1_200, START, START + 3 * DAY_MS, users=300)
    beside = SideTopics("explorations", "tallies", "run")
    run_simulation(experiment, plan, EventOutlet(CODEC, log, TOPIC, log.partitions, beside=beside))
    joined = reference_join(JoinRule.from_experiment(experiment), CODEC, log.records(TOPIC))
    values = [
        LogRecord("x", 0, at, 0, key.request_id.encode(), value)
        for at, (key, value) in enumerate(joined.examples.items())
    ]
    frame = ExampleDecoder(CODEC, experiment.action_space).decode(values).frame.select(COLUMNS)
    rows = rows_since(frame, 0, experiment, FeatureContract.from_experiment(experiment))
    stored = StoredCounts.of(frame)
    checked = ExploredLog(rows, (), control_rows(frame, (0, 2**62), experiment), heavy_units(rows), stored)
    tallies = [record._replace(partition=0, offset=at) for at, record in enumerate(log.records("tallies"))]
    found = judge_log(checked, experiment, KeptTallies(read_tallies(MemoryExampleSource(tallies), CODEC)))
    assert (found.verdict, found.reasons) == (LogVerdict.SOUND, ())
    assert judge_log(checked, experiment, KeptTallies()).verdict is LogVerdict.COMPLETENESS_UNVERIFIED


def test_sessions_explore_together_if_the_experiment_says_so() -> None:
    whole = with_exploration_rate(load_experiment(HOMEFEED), 0.5)
    rates = whole.experiment.model_copy(update={"exploration_unit": "session"})
    log = MemoryLog()
    plan = RunPlan(3, 400, START, START + 2 * DAY_MS, users=300)
    by_session = whole.model_copy(update={"experiment": rates})
    run_simulation(by_session, plan, EventOutlet(CODEC, log, TOPIC, log.partitions))
    records = [CODEC.decode(record.value) for record in log.records(TOPIC)]
    session_of = {each.record["request_id"]: each.record["session_id"] for each in records if each.name == REQUEST}
    slices = defaultdict[str, list[bool]](list)
    for each in records:
        if each.name == ACTION:
            slices[session_of[each.record["request_id"]]].append(each.record["slice"] == "EXPLORE")
    assert all(len(set(explored)) == 1 for explored in slices.values())
    assert max(map(len, slices.values())) > 1 and {explored[0] for explored in slices.values()} == {True, False}


def test_heartbeats_close_every_partition_at_the_end() -> None:
    log = MemoryLog()
    plan = RunPlan(3, 20, START, START + DAY_MS, users=20)
    report = run_simulation(PRODUCTION_ONLY, plan, EventOutlet(CODEC, log, TOPIC, log.partitions))
    last = [CODEC.decode(log.partition_records(TOPIC, p)[-1].value) for p in range(log.partitions)]
    assert all(each.name == HEARTBEAT and each.record["event_time"] == report.closed_at for each in last)
    assert report.closed_at == report.live.last_event_time + PRODUCTION_ONLY.window_ms + 1
    assert report.as_dict()["handed_in"] == report.delivery.acknowledged


class LosingLog(MemoryLog):
    """A log whose last acknowledgement never comes."""

    def counts(self) -> DeliveryCounts:
        told = super().counts()
        return DeliveryCounts(told.handed_in, max(told.acknowledged - 1, 0))


def test_a_log_that_is_not_whole_is_not_closed() -> None:
    log = LosingLog()
    plan = RunPlan(3, 5, START, START + DAY_MS, users=20)
    with pytest.raises(SimulationIncomplete, match=r"1 of \d+ events were not acknowledged"):
        run_simulation(PRODUCTION_ONLY, plan, EventOutlet(CODEC, log, TOPIC, log.partitions))
    assert HEARTBEAT not in {CODEC.decode(record.value).name for record in log.records(TOPIC)}


class RefusedLog(MemoryLog):
    """A log whose broker refuses everything."""

    @property
    def fault(self) -> str:
        return "may not write"

    def send(self, event: OutgoingEvent) -> None:
        self.reject(event.record)


def test_a_refused_simulation_ends_soon_with_the_reason() -> None:
    log, told = RefusedLog(), list[int]()
    plan = RunPlan(3, 1500, START, START + 2 * DAY_MS, users=20)
    with pytest.raises(SimulationIncomplete, match="events were not acknowledged: may not write"):
        run_simulation(PRODUCTION_ONLY, plan, EventOutlet(CODEC, log, TOPIC, log.partitions), progress=told.append)
    assert told == [], "not after all requests"
