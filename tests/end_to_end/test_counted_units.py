"""Guardrails per request, session and user-day on a sampled log: what readers count is what a plain count gives."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Hashable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import ExperimentError
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from learner.examples.counting_units import LEFT_OUT, counting_units
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.learning_rows import COLUMNS
from learner.examples.row_settings import RowSettings
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
from policy_store.records.objective_weights import ObjectiveWeights
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.snapshot import ServingSnapshot, SnapshotHolder
from tests.components.company_topics import SourceProducer, SourceRow, create_source
from tests.components.homefeed_log import SentEvent
from tests.components.join_bench import JoinBench

CODEC = Codec(Registry.bundled())
START = 1_764_000_000_000 // DAY_MS * DAY_MS
DAYS, USERS, LOG_RATE = 2, 200, 0.25
CLIPS = {"request": 1.0, "session": 2.0, "user-day": 3.0}
FILE = f"""
[experiment]
name = "counted"
salt = "pepper"
exploration_rate = 0.1
control_rate = 0.05
log_rate = {LOG_RATE}
log_unit = "user"

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

[[guardrails]]
name = "request"
kinds = ["visit"]

[[guardrails]]
name = "session"
kinds = ["visit"]
clip = 2
per = "session"

[[guardrails]]
name = "user-day"
kinds = ["visit"]
clip = 3
per = "user-day"

[join]
allowed_lateness = "3d"
clock = "replay"

[[bridge]]
topic = "SOURCE"
[bridge.fields]
request_id = "request"
event_time = "at"
kind = "type"
user_id = "who"
"""


class Asked(NamedTuple):
    """One request, and the visits that followed it."""

    request_id: str
    user: str | None
    session: str
    at: int
    visits: int


def test_what_is_counted_on_a_sampled_log_is_what_a_plain_count_gives(join_bench: JoinBench, tmp_path: Path) -> None:
    source = f"{join_bench.prefix}company"
    join_bench.experiment_file.write_text(FILE.replace("SOURCE", source), encoding="utf-8")
    experiment = load_experiment(join_bench.experiment_file)
    asked = _asked()
    create_source(join_bench.bootstrap, source, partitions=1)
    slices = _serve(join_bench, experiment, asked)
    _bridge(join_bench, source, asked)
    _join(join_bench)
    frame = _stored(join_bench, experiment, tmp_path)
    settings = RowSettings.of(frame, experiment, {})

    for objective in experiment.counted[1:]:
        units = counting_units(frame, objective.per, settings)
        outcomes, observed = units.outcomes(frame, objective)
        assert observed.all()
        expected = _plain_count(asked, slices, objective.per)
        found = sorted(zip(outcomes.tolist(), units.rates.tolist(), strict=True))
        assert found == sorted(expected.values()), objective.name
        estimate, true = float((outcomes / units.rates).sum()), _true_sum(asked, objective.per)
        spread = float(np.sqrt(((1 - units.rates) / units.rates**2 * outcomes**2).sum()))
        clustering = 5.0 if objective.per != "user-day" else 2.0  # units of one user share their coin
        assert abs(estimate - true) < 4 * clustering**0.5 * spread < 0.9 * true, objective.name
    without = {each.request_id for each in asked if each.user is None}
    days = counting_units(frame, "user-day", settings).numbers
    left = frame.filter(pl.Series(days == LEFT_OUT))["request_request_id"].to_list()
    assert without & set(frame["request_request_id"].to_list()) <= set(left)


@pytest.mark.parametrize("unit", ["request", "session", None])
def test_a_log_that_has_only_pieces_of_days_is_refused(tmp_path: Path, unit: str | None) -> None:
    """Counted on such a log, most days would look short: a sum over 3 visits a day would be far too high."""
    line = "" if unit is None else f'log_unit = "{unit}"'
    file = tmp_path / "trimtab.toml"
    file.write_text(FILE.replace('log_unit = "user"', line), encoding="utf-8")
    with pytest.raises(ExperimentError, match=r"set experiment\.log_unit = .*'user'"):
        load_experiment(file)
    asked = [each for each in _asked() if each.user is not None]
    pieces: dict[Hashable, int] = defaultdict(int)
    for each in asked:
        if _coin("log", each.request_id) < LOG_RATE:
            pieces[_unit(each, "user-day")] += each.visits
    biased = sum(min(float(visits), CLIPS["user-day"]) for visits in pieces.values()) / LOG_RATE
    assert biased > 1.3 * _true_sum(asked, "user-day")


def _asked() -> list[Asked]:
    """Sessions of one to five requests, a few a day for each user; every tenth session has no user."""
    rng = np.random.default_rng(5)
    found = []
    for user in range(USERS):
        for day in range(DAYS):
            for visit in range(int(rng.integers(1, 4))):
                name = None if rng.random() < 0.1 else f"u{user}"
                begin = START + day * DAY_MS + int(rng.integers(0, DAY_MS - 3_600_000))
                for request in range(int(rng.integers(1, 6))):
                    session = f"s{user}-{day}-{visit}"
                    visits = int(rng.poisson(0.6))
                    found.append(Asked(f"r-{session}-{request}", name, session, begin + 60_000 * request, visits))
    return sorted(found, key=lambda each: each.at)


def _serve(bench: JoinBench, experiment: Experiment, asked: list[Asked]) -> dict[str, str]:
    """Decides all requests and writes what the agent logged to Kafka; the slice of each."""
    log = MemoryLog()
    now = START + DAYS * DAY_MS
    logger = DecisionLogger(CODEC, log, f"{bench.prefix}events", clock=lambda: now)
    holder = SnapshotHolder(ServingSnapshot(preference=ObjectiveWeights.in_force(experiment)))
    agent = PolicyAgent(experiment, logger, holder, options=AgentOptions(clock=lambda: now))
    slices = {}
    for each in asked:
        request = DecisionRequest(
            request_id=each.request_id, user_id=each.user, session_id=each.session, event_time=each.at
        )
        decision = agent.decide(request)
        assert decision.applied()
        slices[each.request_id] = str(decision.slice)
    agent.close()
    logger.close()
    records = log.records(f"{bench.prefix}events")
    bench.send(SentEvent(0, each.key, each.value or b"") for each in records)
    return slices


def _bridge(bench: JoinBench, source: str, asked: list[Asked]) -> None:
    """Sends every visit through the company's topic; a few records do not say who it was."""
    rows = []
    for number, each in enumerate(asked):
        for visit in range(each.visits):
            who = None if number % 7 == 0 else each.user
            said = {"request": each.request_id, "who": who, "at": each.at + 1_000 * (visit + 1), "type": "visit"}
            rows.append(SourceRow(source, None, json.dumps(said).encode()))
    SourceProducer(bench.bootstrap).send(rows)
    ended = bench.run("bridge", "--until-end", "--json")
    assert ended.returncode == 0, ended.stderr
    fates = json.loads(ended.stdout)["fates"]
    assert fates["dead_letter"] == 0 and fates["unsampled"] > len(rows) / 4, "most of what nobody logged is kept out"


def _join(bench: JoinBench) -> None:
    bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": START + (DAYS + 4) * DAY_MS}))
    bench.start_worker()
    bench.wait_until_processed()
    bench.stop_workers()


def _stored(bench: JoinBench, experiment: Experiment, directory: Path) -> pl.DataFrame:
    topic = f"{bench.prefix}examples"
    with (
        closing(KafkaExampleSource(bench.client_config, topic)) as source,
        SegmentStore(directory / "examples", topic, 10**15) as store,
    ):
        decoder = ExampleDecoder(CODEC, experiment.action_space)
        ingest = Ingest(source, decoder, store, DeadLetters(CODEC, MemoryLog(), "dead-letters"))
        ingest.start()
        assert sum(counts.malformed for counts in ingest.to_end()) == 0
    return read_segments(directory / "examples", [*COLUMNS, "request_session_id"])


def _coin(purpose: str, identifier: str) -> float:
    digest = hashlib.sha256("\0".join(["pepper", purpose, identifier]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _unit(asked: Asked, per: str) -> Hashable:
    if per == "request" or (per == "session" and asked.user is None):
        return asked.request_id
    return (asked.user, asked.session) if per == "session" else (asked.user, asked.at // DAY_MS)


def _plain_count(asked: list[Asked], slices: dict[str, str], per: str) -> dict[Hashable, tuple[float, float]]:
    """By unit, its outcome and the rate at which such units are in the log; only units that are in the log."""
    visits: dict[Hashable, int] = defaultdict(int)
    rates: dict[Hashable, float] = {}
    for each in asked:
        in_log = _coin("log", each.user or each.request_id) < LOG_RATE
        always = slices[each.request_id] in ("EXPLORE", "CONTROL")
        if per == "request":
            in_log |= always
        if in_log and not (per == "user-day" and each.user is None):
            visits[_unit(each, per)] += each.visits
            rates[_unit(each, per)] = 1.0 if per == "request" and always else LOG_RATE
    return {unit: (min(float(count), CLIPS[per]), rates[unit]) for unit, count in visits.items()}


def _true_sum(asked: list[Asked], per: str) -> float:
    """Over all that happened, logged or not."""
    visits: dict[Hashable, int] = defaultdict(int)
    for each in asked:
        if not (per == "user-day" and each.user is None):
            visits[_unit(each, per)] += each.visits
    return sum(min(float(count), CLIPS[per]) for count in visits.values())
