"""Decisions reach the log whole, and every applied one is in the tally."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from event_schemas.codec import Codec, Decoded
from event_schemas.registry import Registry
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger, TallyPlan
from tests.components.forking import in_child, outcome_of
from tests.record_samples import ACTION, PROPENSITY, RANKING, REQUEST

CODEC = Codec(Registry.bundled())
PLAN = TallyPlan("tallies", "node-1", every_ms=1_000)


class Clock:
    """A clock in milliseconds that the test advances."""

    def __init__(self) -> None:
        self.now = 5_000

    def __call__(self) -> int:
        return self.now


def decoded(log: MemoryLog, topic: str = "events") -> list[Decoded]:
    return [CODEC.decode(record.value) for record in log.records(topic)]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "the encoding thread did not get there in 5 s"
        time.sleep(0.01)


def tallies(log: MemoryLog) -> list[dict[str, Any]]:
    return [entry.record for entry in decoded(log, "tallies")]


def test_a_decision_is_request_action_propensity_and_ranking_under_one_key() -> None:
    log = MemoryLog()
    logger = DecisionLogger(CODEC, log, "events")
    assert logger.log_request(REQUEST)  # type: ignore[arg-type]  # the samples are plain dictionaries
    assert logger.log_applied(ACTION, PROPENSITY, RANKING)  # type: ignore[arg-type]
    assert logger.close().acknowledged == 4
    assert [entry.name for entry in decoded(log)] == ["Request", "Action", "Propensity", "Ranking"]
    assert [entry.record for entry in decoded(log)][:2] == [REQUEST, ACTION]
    assert {(record.key, record.partition) for record in log.records("events")} == {
        (b"r1", log.records("events")[0].partition)
    }


def test_the_ranking_is_optional() -> None:
    log = MemoryLog()
    logger = DecisionLogger(CODEC, log, "events")
    logger.log_applied(ACTION, PROPENSITY)  # type: ignore[arg-type]
    assert logger.flush().acknowledged == 2
    logger.close()


def test_applied_decisions_are_tallied_logged_or_not() -> None:
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    logger.log_applied(ACTION, PROPENSITY)  # type: ignore[arg-type]
    for _ in range(3):
        logger.count_unlogged("POLICY")
    assert logger.decisions_by_slice() == {"EXPLORE": 1, "POLICY": 3}
    logger.close()
    counts = [{"slice": "EXPLORE", "count": 1}, {"slice": "POLICY", "count": 3}]
    assert tallies(log) == [{"event_time": 5_000, "source": "node-1", "counts": counts}]
    assert log.records("tallies")[0].key == b"node-1"


def test_tallies_come_when_due_and_only_with_news() -> None:
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    logger.count_unlogged("POLICY")
    time.sleep(0.2)
    assert tallies(log) == [], "nothing is due before every_ms"
    clock.now = 6_000
    wait_for(lambda: len(tallies(log)) == 1)
    clock.now = 9_000
    time.sleep(0.3)
    assert len(tallies(log)) == 1, "no news, no tally"
    logger.count_unlogged("POLICY")
    clock.now = 12_000
    wait_for(lambda: len(tallies(log)) == 2)
    logger.close()
    assert [entry["counts"][0]["count"] for entry in tallies(log)] == [1, 2]


def test_logging_costs_the_caller_microseconds() -> None:
    """The encoding of a Request takes ~80 µs and more under load; the caller must not pay it."""
    logger = DecisionLogger(CODEC, MemoryLog(), "events")
    request = REQUEST | {"user_embedding": [0.1] * 256}
    times = []
    for _ in range(300):
        start = time.perf_counter()
        logger.log_request(request)  # type: ignore[arg-type]
        times.append(time.perf_counter() - start)
    logger.close()
    assert sorted(times)[150] < 100e-6


@pytest.mark.parametrize("field", ["event_time", "user_embedding"])
def test_a_broken_record_is_dropped_not_raised(field: str) -> None:
    log = MemoryLog()
    logger = DecisionLogger(CODEC, log, "events")
    logger.log_request(REQUEST | {field: "wrong"})  # type: ignore[arg-type]
    counts = logger.close()
    assert (counts.handed_in, counts.dropped, counts.in_flight) == (1, 1, 0)


def tally_in_both() -> list[list[dict[str, Any]]]:
    """The parent's lock is held while it forks."""
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    for _ in range(3):
        logger.count_unlogged("POLICY")

    def child() -> list[dict[str, Any]]:
        before = logger.decisions_by_slice()
        clock.now = 7_000
        logger.count_unlogged("CONTROL")
        logger.close()
        return [before, *tallies(log), {"pid": os.getpid()}]

    with logger._lock:
        told = in_child(child)
    logger.close()
    return [told, tallies(log)]


def test_a_child_is_a_source_of_its_own() -> None:
    (before, of_child, about), [of_parent] = outcome_of(tally_in_both)
    assert before == {}
    assert of_child["source"] == f"node-1.{about['pid']}-7000"
    assert of_child["counts"] == [{"slice": "CONTROL", "count": 1}]
    assert (of_parent["source"], of_parent["counts"]) == ("node-1", [{"slice": "POLICY", "count": 3}])
