"""Exploration by session, from an agent's decisions to the learner's check: sessions explore whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.exploration import ExplorationSettings
from event_schemas.exploration_units import unit_of
from event_schemas.registry import Registry
from feature_contract import FeatureContract
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.exploration_reading import read_explorations
from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.segment_store import SegmentStore
from learner.examples.slice_tallies import SliceTallies
from learner.examples.stored_counts import StoredCounts
from learner.examples.stored_files import stored_examples
from learner.examples.tally_reading import read_tallies
from learner.examples.tally_shelf import KeptTallies
from learner.examples.training_window import control_rows, rows_since
from learner.judgement.design_effect import design_effect
from learner.judgement.log_judgement import ExploredLog, judge_log
from learner.judgement.log_soundness import LogSoundness, LogVerdict
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger, TallyPlan
from producers.loggers.exploration_notice import ExplorationPlan
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.snapshot import ServingSnapshot, SnapshotHolder
from tests.components.homefeed_log import SentEvent
from tests.components.join_bench import JoinBench
from tests.learner_samples import MINUTE

CODEC = Codec(Registry.bundled())
SESSIONS, RATE = 600, 0.3
NOW = 1_764_000_000_000
FILE = f"""
[experiment]
name = "sessions"
salt = "pepper"
exploration_rate = {RATE}
control_rate = 0.2
log_rate = 1.0
exploration_unit = "session"

[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 3

[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "5m"

[join]
allowed_lateness = "1m"
clock = "replay"
"""


def test_sessions_explore_whole_and_their_log_is_sound(join_bench: JoinBench, tmp_path: Path) -> None:
    join_bench.experiment_file.write_text(FILE, encoding="utf-8")
    experiment = load_experiment(join_bench.experiment_file)
    lengths = _serve(join_bench, experiment)
    _join(join_bench)
    frame, settings = _stored(join_bench, experiment, tmp_path)
    assert set(settings) == {experiment.exploration.digest}
    assert frame.height == sum(lengths.values())

    explored = _explored_by_session(frame)
    assert {unit: len(flags) for unit, flags in explored.items()} == lengths
    assert all(len(set(flags)) == 1 for flags in explored.values()), "a session explores whole, or not at all"
    pairs = sum(length - 1 for length in lengths.values())
    together = sum(len(flags) - 1 for flags in explored.values() if flags[0])
    assert together > 2 * RATE**2 * pairs, "drawn by request, a pair explores with the square of the rate"

    tallies = _tallies(join_bench)
    [span] = tallies.spans.values()
    assert (span.decisions, span.units) == (frame.height, SESSIONS)
    assert sum(day.decisions for day in tallies.rated.values()) == frame.height
    assert span.square_sum == sum(length * length for length in lengths.values())
    sound = _checked(frame, experiment, settings, tallies)
    assert sound.p_value is not None
    assert sound.p_value > 1e-4, sound.detail
    assert sound.verdict is LogVerdict.SOUND, sound.reasons
    stray = next(unit for unit, flags in explored.items() if not flags[0])
    other = frame["request_request_id"].str.replace(r"^.*~", f"{stray}~")
    first = int((frame["action_slice"] == "EXPLORE").arg_max() or 0)
    swapped = pl.when(pl.int_range(pl.len()) == first).then(other).otherwise("request_request_id")
    unsound = _checked(frame.with_columns(swapped.alias("request_request_id")), experiment, settings, tallies)
    assert (unsound.p_value, unsound.method) == (0.0, "recomputed")


def _serve(bench: JoinBench, experiment: Experiment) -> dict[str, int]:
    """Decides the requests of all sessions and writes what the agent logged to Kafka; the length of each session."""
    log = MemoryLog()
    plan = TallyPlan(f"{bench.prefix}tallies", "node-1")
    logger = DecisionLogger(CODEC, log, f"{bench.prefix}events", tally=plan, clock=lambda: NOW)
    logger.tell_exploration(ExplorationPlan(f"{bench.prefix}explorations", experiment.exploration))
    holder = SnapshotHolder(ServingSnapshot(preference=ObjectiveWeights.in_force(experiment)))
    agent = PolicyAgent(experiment, logger, holder, options=AgentOptions(clock=lambda: NOW))
    rng = np.random.default_rng(5)
    lengths = {f"s{number}": int(rng.geometric(0.4)) for number in range(SESSIONS)}
    for number, (session, length) in enumerate(lengths.items()):
        for request in range(length):
            at = NOW - 60 * MINUTE + 1_000 * number + 10 * request
            assert agent.decide(DecisionRequest(session_id=session, user_id=f"u{number}", event_time=at)).applied()
    agent.close()
    logger.close()
    for topic in ("explorations", "events", "tallies"):
        records = log.records(f"{bench.prefix}{topic}")
        bench.send((SentEvent(0, each.key, each.value or b"") for each in records), topic=topic)
    return lengths


def _join(bench: JoinBench) -> None:
    bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": NOW + 10 * MINUTE}))
    bench.start_worker()
    bench.wait_until_processed()
    bench.stop_workers()
    assert bench.decoded("dead-letters")[:3] == []


def _stored(
    bench: JoinBench, experiment: Experiment, directory: Path
) -> tuple[pl.DataFrame, dict[str, ExplorationSettings]]:
    """The stored examples, and the exploration settings that the learner keeps."""
    topic = f"{bench.prefix}examples"
    with (
        closing(KafkaExampleSource(bench.client_config, topic)) as source,
        SegmentStore(directory / "examples", topic, 10**15) as store,
    ):
        decoder = ExampleDecoder(CODEC, experiment.action_space)
        ingest = Ingest(source, decoder, store, DeadLetters(CODEC, MemoryLog(), "dead-letters"))
        ingest.start()
        assert sum(counts.malformed for counts in ingest.to_end()) == 0
    shelf = ExplorationShelf(directory / "explorations")
    with closing(KafkaExampleSource(bench.client_config, f"{bench.prefix}explorations")) as source:
        kept = read_explorations(source, CODEC, shelf)
    return stored_examples(directory / "examples"), dict(kept.settings)


def _explored_by_session(frame: pl.DataFrame) -> dict[str, list[bool]]:
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for request_id, drawn in _ids_and_slices(frame):
        found[unit_of(request_id, "session")].append(drawn == "EXPLORE")
    return found


def _ids_and_slices(frame: pl.DataFrame) -> Iterator[tuple[str, str]]:
    yield from zip(frame["request_request_id"].to_list(), frame["action_slice"].cast(str).to_list(), strict=True)


def _tallies(bench: JoinBench) -> SliceTallies:
    with closing(KafkaExampleSource(bench.client_config, f"{bench.prefix}tallies")) as source:
        return read_tallies(source, CODEC)


def _checked(
    frame: pl.DataFrame, experiment: Experiment, settings: dict[str, ExplorationSettings], tallies: SliceTallies
) -> LogSoundness:
    rows = rows_since(frame, 0, experiment, FeatureContract.from_experiment(experiment), settings)
    clustering = design_effect(rows.frame["request_request_id"], "session")
    assert clustering > 1.5
    control = control_rows(frame, (0, 2**62), experiment)
    log = ExploredLog(rows, (), control, (), StoredCounts.of(frame))
    return judge_log(log, experiment, KeptTallies(tallies))
