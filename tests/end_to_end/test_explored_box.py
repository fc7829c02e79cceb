"""A box of weights, explored normally by session, from the log to an estimate that has the truth in its interval."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from event_schemas import records as r
from event_schemas.action_space import ActionSpace
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.exploration_units import session_request_id
from event_schemas.registry import Registry
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.exploration_reading import read_explorations
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.learner_errors import BoxNotLearnt
from learner.examples.segment_store import SegmentStore
from learner.examples.stored_files import stored_examples
from learner.examples.training_window import rows_since
from learner.learner_run import Learner
from learner.policy_comparison import Question, compare
from off_policy.truncated_normals import TruncatedNormals
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from producers.loggers.exploration_notice import ExplorationPlan
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.snapshot import ServingSnapshot, SnapshotHolder
from simulator.reference_policies import NormalPolicy
from tests.box_samples import click_rate
from tests.components.homefeed_log import SentEvent
from tests.components.join_bench import JoinBench
from tests.learner_samples import MINUTE, check_log

CODEC = Codec(Registry.bundled())
REQUESTS, SESSION_LENGTH = 2_400, 3
NOW = 1_764_000_000_000
MEAN, SD = np.array([0.3, 0.4]), np.array([0.15, 0.2])
FILE = """
[experiment]
name = "box"
salt = "pepper"
exploration_rate = 0.5
control_rate = 0.2
log_rate = 1.0
exploration_kind = "normal"
exploration_unit = "session"

[[weights]]
name = "repin"
production = 20.0
low = 10
high = 200
sd = 50

[[weights]]
name = "p2p"
production = 9.1
low = 1
high = 30
sd = 8

[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "5m"

[[objectives]]
name = "either"
kinds = ["repin", "visit"]
clip = 2
attribution = "5m"
role = "signal"

[[guardrails]]
name = "visits"
kinds = ["visit"]

[features]
user_embedding_dim = 4

[join]
allowed_lateness = "1m"
clock = "replay"

[serving]
budget_ms = 10000

[learner]
train_window = "12h"
holdout_window = "6h"

[gate]
min_matched_rows = 50
min_positives = 20
"""


@pytest.fixture
def bench(join_bench: JoinBench) -> JoinBench:
    join_bench.experiment_file.write_text(FILE, encoding="utf-8")
    return join_bench


def test_a_box_is_explored_joined_checked_and_evaluated(bench: JoinBench, tmp_path: Path) -> None:
    experiment = load_experiment(bench.experiment_file)
    decisions, happened = _serve(bench, experiment)
    _join(bench)

    learner = _learner(bench, experiment, tmp_path / "learner")
    _ingest(bench, learner)
    frame = stored_examples(learner.examples_directory)
    assert Counter(frame["action_slice"]) == Counter(each.slice.value for each in decisions)
    assert set(frame["action_slice"]) == {"EXPLORE", "CONTROL", "POLICY"}
    _assert_all_roles_are_counted(frame, happened)
    with pytest.raises(BoxNotLearnt, match="q_network"):
        learner.run(ObjectiveWeights.in_force(experiment))
    assert set(learner.exploration_shelf.load()) == {experiment.exploration.digest}

    sound = _checked(learner, frame)
    assert sound.p_value is not None
    assert sound.p_value > 1e-4
    tampered = frame.with_columns(
        action_weights=pl.when(pl.int_range(pl.len()) == _first_vector(frame))
        .then(pl.lit([50.0, 9.0]))
        .otherwise("action_weights")
    )
    unsound = _checked(learner, tampered)
    assert (unsound.p_value, unsound.method) == (0.0, "recomputed")
    request_id = frame["request_request_id"][_first_vector(frame)]
    assert f"request {request_id!r}: the weight repin is logged as 50, but" in unsound.detail

    _assert_the_truth_is_inside(frame, learner, tmp_path)


def _serve(bench: JoinBench, experiment: Experiment) -> tuple[list[Decision], list[SentEvent]]:
    """An agent decides the requests of all sessions; what it logs and what users do, the second, is written to Kafka.

    Where it does not explore, it serves the reference policy that the run evaluates in the end.
    """
    log, space = MemoryLog(), experiment.action_space
    logger = DecisionLogger(CODEC, log, f"{bench.prefix}events", clock=lambda: NOW)
    logger.tell_exploration(ExplorationPlan(f"{bench.prefix}explorations", experiment.exploration))
    policy = NormalPolicy((space.low + MEAN * _sides(space)).tolist(), (SD * _sides(space)).tolist())
    loaded = LoadedPolicy("reference", NOW, policy, FeatureContract.from_experiment(experiment))
    holder = SnapshotHolder(ServingSnapshot(preference=ObjectiveWeights.in_force(experiment), stable=loaded))
    with closing(PolicyAgent(experiment, logger, holder, options=AgentOptions(clock=lambda: NOW))) as agent:
        decisions = [
            agent.decide(
                DecisionRequest(
                    request_id=session_request_id(f"s{number // SESSION_LENGTH}", f"{number:06d}"),
                    event_time=NOW - 60 * MINUTE + 1_000 * number,
                    user_embedding=[0.0] * 4,
                )
            )
            for number in range(REQUESTS)
        ]
        assert all(decision.applied() for decision in decisions)
    logger.close()
    engagements = [*_engagements(decisions, space), *_visits(decisions)]
    for topic, happened in (("explorations", []), ("events", engagements)):
        logged = [_sent(each.key, each.value or b"") for each in log.records(f"{bench.prefix}{topic}")]
        bench.send(sorted([*logged, *happened], key=lambda event: event.time), topic=topic)
    return decisions, engagements


def _sent(key: bytes | None, value: bytes) -> SentEvent:
    return SentEvent(CODEC.decode(value).record["event_time"], key, value)


def _engagements(decisions: list[Decision], space: ActionSpace) -> Iterator[SentEvent]:
    """Each decision's user repins, or does not, by the chance that the served vector gives."""
    served = np.array([[decision.weights[name] for name in space.weight_names] for decision in decisions])
    coins = np.random.default_rng(3).random(len(decisions))
    for decision, chance, drawn in zip(decisions, click_rate(space.normalised(served)), coins, strict=True):
        if drawn < chance:
            at, key = decision.event_time + MINUTE, decision.request_id
            ids = {"engagement_id": f"e-{key}", "request_id": key, "event_time": at}
            engagement = ids | {"kind": "repin", "item_id": None, "value": 1.0}
            yield _sent(key.encode(), CODEC.encode(r.ENGAGEMENT, engagement))


def _visits(decisions: list[Decision]) -> Iterator[SentEvent]:
    """Every third decision is followed by a visit, every ninth by two."""
    for number, decision in enumerate(decisions):
        for visit in range((number % 3 == 0) + (number % 9 == 0)):
            at, key = decision.event_time + 2 * MINUTE, decision.request_id
            ids = {"engagement_id": f"v{visit}-{key}", "request_id": key, "event_time": at}
            yield _sent(
                key.encode(), CODEC.encode(r.ENGAGEMENT, ids | {"kind": "visit", "item_id": None, "value": 1.0})
            )


def _assert_all_roles_are_counted(frame: pl.DataFrame, happened: list[SentEvent]) -> None:
    """Every outcome of every example is what counting the engagements by hand gives."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for event in happened:
        engagement = CODEC.decode(event.value).record
        counts[engagement["request_id"]][engagement["kind"]] += 1
    outcomes = zip(frame["request_request_id"], frame["outcome_objectives"], strict=True)
    for request_id, objectives in outcomes:
        repins, visits = (counts[request_id][kind] for kind in ("repin", "visit"))
        assert {each["objective"]: (each["count"], each["reward"], each["observed"]) for each in objectives} == {
            "repin": (repins, min(repins, 1), True),
            "either": (repins + visits, min(repins + visits, 2), True),
            "visits": (visits, min(visits, 1), True),
        }


def _join(bench: JoinBench) -> None:
    """The join, to the end of all windows."""
    bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": NOW + 10 * MINUTE}))
    bench.start_worker()
    bench.wait_until_processed()
    bench.stop_workers()
    assert [(each["reason"], each["detail"]) for each in bench.decoded("dead-letters")[:3]] == []


def _sides(space: ActionSpace) -> np.ndarray:
    sides: np.ndarray = space.high - space.low
    return sides


def _learner(bench: JoinBench, experiment: Experiment, directory: Path) -> Learner:
    learner = Learner(experiment, directory, lambda: NOW)

    def explorations() -> Any:
        with closing(KafkaExampleSource(bench.client_config, f"{bench.prefix}explorations")) as source:
            return read_explorations(source, CODEC, learner.exploration_shelf)

    return replace(learner, explorations=explorations)


def _ingest(bench: JoinBench, learner: Learner) -> None:
    topic = f"{bench.prefix}examples"
    source = KafkaExampleSource(bench.client_config, topic)
    with closing(source), SegmentStore(learner.examples_directory, topic, 10**15) as store:
        decoder = ExampleDecoder(CODEC, learner.experiment.action_space)
        ingest = Ingest(source, decoder, store, DeadLetters(CODEC, MemoryLog(), "dead-letters"))
        ingest.start()
        for counts in ingest.to_end():
            assert counts.malformed == 0


def _first_vector(frame: pl.DataFrame) -> int:
    vectors = (frame["action_slice"] == "EXPLORE") & (frame["action_arm"] == 0)
    return int(vectors.arg_max() or 0)


def _checked(learner: Learner, frame: pl.DataFrame) -> Any:
    contract = FeatureContract.from_experiment(learner.experiment)
    rows = rows_since(frame, 0, learner.experiment, contract, learner.exploration_shelf.load())
    control = frame.filter(pl.col("action_slice") == "CONTROL")
    assert control.height > 50
    return check_log(rows, learner.experiment, control)


def _assert_the_truth_is_inside(frame: pl.DataFrame, learner: Learner, directory: Path) -> None:
    """The truncated normal proposed for everybody, and production: their intervals have the world's own values."""
    space, path = learner.experiment.action_space, directory / "mine.parquet"
    sides = _sides(space)
    means = dict(zip(space.weight_names, (space.low + MEAN * sides).tolist(), strict=True))
    sds = {f"sd.{name}": value for name, value in zip(space.weight_names, (SD * sides).tolist(), strict=True)}
    pl.DataFrame({name: [value] for name, value in (means | sds).items()}).write_parquet(path)
    shelf = CheckpointShelf(directory / "checkpoints")
    question = Question(str(path), every_row=True, level=0.99)
    report = compare(question, frame, shelf, learner.experiment, learner.exploration_shelf.load()).report

    draws = TruncatedNormals(MEAN, SD).quantile(np.random.default_rng(0).random((100_000, 2)))
    truth = float(click_rate(draws).mean())
    production = float(click_rate(space.normalised(space.weights[1:]))[0])
    served = frame.filter(pl.col("action_slice") == "POLICY")["outcome_objectives"]
    online = np.array([repin["reward"] for repin, *_ in served])
    assert abs(online.mean() - truth) < 3 * online.std() / math.sqrt(len(online)), (
        "what the policy served has the value that is estimated"
    )
    for policy, value in (("mine", truth), ("production", production)):
        for name in ("snips", "dr"):
            interval = report.report_of(policy).objectives["repin"].estimates[name].interval
            assert interval is not None
            assert interval.lower < value < interval.upper
    lift = report.report_of("mine").objectives["repin"].dr_lift
    assert lift is not None and lift.interval is not None
    assert lift.interval.lower < truth - production < lift.interval.upper
