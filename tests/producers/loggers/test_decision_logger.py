"""Decisions reach the log whole, and every applied one is in the tally."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from event_schemas.codec import Codec, Decoded
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.decision_logger import ROW_MS, DecisionLogger, TallyPlan
from producers.loggers.exploration_notice import ExplorationPlan
from tests.components.forking import in_child, outcome_of
from tests.record_samples import ACTION, PROPENSITY, RANKING, REQUEST
from tests.serving_samples import serving_experiment

CODEC = Codec(Registry.bundled())
EXPLORE = AppliedDecision("EXPLORE", 3, ACTION["event_time"], "d" * 64, 0.0125, "r1")
POLICY, CONTROL = EXPLORE._replace(slice="POLICY"), EXPLORE._replace(slice="CONTROL")
PLAN = TallyPlan("tallies", "node-1", every_ms=1_000)


class Clock:
    """A clock in milliseconds that the test advances."""

    def __init__(self) -> None:
        self.now = 5_000

    def __call__(self) -> int:
        return self.now


class Order(MemoryLog):
    """A log that keeps the names of the records in the order in which they were sent."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[str] = []

    def send(self, event: OutgoingEvent) -> None:
        self.order.append(event.record)
        super().send(event)


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
    assert logger.log_applied(EXPLORE, ACTION, PROPENSITY, RANKING)  # type: ignore[arg-type]
    assert logger.close().acknowledged == 4
    assert [entry.name for entry in decoded(log)] == ["Request", "Action", "Propensity", "Ranking"]
    assert [entry.record for entry in decoded(log)][:2] == [REQUEST, ACTION]
    assert {(record.key, record.partition) for record in log.records("events")} == {
        (b"r1", log.records("events")[0].partition)
    }


def test_the_ranking_is_optional() -> None:
    log = MemoryLog()
    logger = DecisionLogger(CODEC, log, "events")
    logger.log_applied(EXPLORE, ACTION, PROPENSITY)  # type: ignore[arg-type]
    assert logger.flush().acknowledged == 2
    logger.close()


def announcing(log: MemoryLog) -> DecisionLogger:
    logger = DecisionLogger(CODEC, log, "events", clock=Clock())
    logger.tell_exploration(ExplorationPlan("explorations", serving_experiment().exploration))
    return logger


@pytest.mark.parametrize("first", ["logged", "unlogged, with tallies"])
def test_the_settings_are_written_before_the_first_event(first: str) -> None:
    log = Order()
    logger = announcing(log) if first == "logged" else DecisionLogger(CODEC, log, "events", tally=PLAN, clock=Clock())
    if first == "logged":
        logger.log_request(REQUEST)  # type: ignore[arg-type]
    else:
        logger.tell_exploration(ExplorationPlan("explorations", serving_experiment().exploration))
        logger.count_unlogged(POLICY)
    logger.close()
    assert log.order == ["Exploration", "Request" if first == "logged" else "Tally"]


def test_a_process_that_decides_nothing_writes_no_settings() -> None:
    log = MemoryLog()
    announcing(log).close()
    assert log.records("explorations") == []


def settings_in_both() -> list[int]:
    log = MemoryLog()
    logger = announcing(log)
    logger.log_request(REQUEST)  # type: ignore[arg-type]
    logger.flush()

    def child() -> int:
        before = len(log.records("explorations"))
        logger.log_request(REQUEST)  # type: ignore[arg-type]
        logger.close()
        return len(log.records("explorations")) - before

    written = in_child(child)
    logger.close()
    return [written, len(log.records("explorations"))]


def test_a_forked_child_writes_the_settings_itself() -> None:
    assert outcome_of(settings_in_both) == [1, 1]


def test_further_settings_told_by_any_thread_are_written_before_the_next_event() -> None:
    log = Order()
    logger = announcing(log)
    logger.log_request(REQUEST)  # type: ignore[arg-type]
    logger.flush()
    raised = serving_experiment().exploration.with_log_rate(0.9)
    teller = threading.Thread(target=logger.tell_exploration, args=[ExplorationPlan("explorations", raised, 60_000)])
    teller.start()
    teller.join()
    logger.log_request(REQUEST)  # type: ignore[arg-type]
    logger.untell_exploration(raised.digest)
    logger.flush()
    assert log.order == ["Exploration", "Request"] * 2
    logger.tell_exploration(ExplorationPlan("explorations", raised, 60_000))
    logger.log_request(REQUEST)  # type: ignore[arg-type]
    logger.close()
    assert log.order == ["Exploration", "Request"] * 3
    keys = sorted(record.key or b"" for record in log.records("explorations"))
    assert keys == sorted([serving_experiment().exploration.digest.encode(), *[raised.digest.encode()] * 2])


def test_applied_decisions_are_tallied_logged_or_not() -> None:
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    logger.log_applied(EXPLORE, ACTION, PROPENSITY)  # type: ignore[arg-type]
    for _ in range(3):
        logger.count_unlogged(POLICY)
    assert logger.decisions_by_slice() == {"EXPLORE": 1, "POLICY": 3}
    logger.close()
    [tally] = tallies(log)
    assert (tally["event_time"], tally["source"]) == (5_000, "node-1")
    assert tally["counts"] == [{"slice": "EXPLORE", "count": 1}, {"slice": "POLICY", "count": 3}]
    assert [(row["slice"], row["arm"], row["count"]) for row in tally["arms"]] == [("EXPLORE", 3, 1), ("POLICY", 3, 3)]
    [span] = tally["spans"]
    assert (span["decisions"], span["units"], span["square_sum"]) == (4, 1, 16.0)
    assert span["rate_sum"] == pytest.approx(4 * 0.0125)
    assert log.records("tallies")[0].key == b"node-1"


def test_tallies_come_when_due_and_only_with_news() -> None:
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    logger.count_unlogged(POLICY)
    time.sleep(0.2)
    assert tallies(log) == [], "nothing is due before every_ms"
    clock.now = 6_000
    wait_for(lambda: len(tallies(log)) == 1)
    clock.now = 9_000
    time.sleep(0.3)
    assert len(tallies(log)) == 1, "no news, no tally"
    logger.count_unlogged(POLICY)
    clock.now = 12_000
    wait_for(lambda: len(tallies(log)) == 2)
    logger.close()
    assert [entry["counts"][0]["count"] for entry in tallies(log)] == [1, 2]


def test_a_clock_that_is_set_back_stops_no_tallies() -> None:
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    logger.count_unlogged(POLICY)
    time.sleep(0.2)

    def told_at(now: int, told: int) -> None:
        logger.count_unlogged(POLICY)
        clock.now = now
        wait_for(lambda: len(tallies(log)) == told)

    told_at(6_000, 1)
    told_at(6_000 - DAY_MS, 2)
    told_at(7_500 - DAY_MS, 3)
    logger.close()
    assert {tally["source"]: tally["counts"][0]["count"] for tally in tallies(log)} == {"node-1": 3, "node-1#2": 1}


def test_a_day_s_last_tally_is_sent_and_the_next_day_is_another_source() -> None:
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    logger.count_unlogged(POLICY)
    time.sleep(0.2)
    clock.now = DAY_MS
    wait_for(lambda: len(tallies(log)) == 1)
    logger.count_unlogged(POLICY)
    logger.count_unlogged(POLICY)
    logger.close()
    found = {tally["source"]: tally["counts"][0]["count"] for tally in tallies(log)}
    assert found == {"node-1": 1, "node-1#2": 2}
    assert logger.decisions_by_slice() == {"POLICY": 3}, "what heartbeats tell is of the whole process"


def test_a_large_table_is_sent_less_often() -> None:
    log, clock = MemoryLog(), Clock()
    logger = DecisionLogger(CODEC, log, "events", tally=PLAN, clock=clock)
    for arm in range(30):
        logger.count_unlogged(POLICY._replace(arm=arm, exploration=None))
    time.sleep(0.2)
    clock.now += 30 * ROW_MS - 1
    time.sleep(0.3)
    assert tallies(log) == []
    clock.now += 1
    wait_for(lambda: len(tallies(log)) == 1)
    logger.close()


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
        logger.count_unlogged(POLICY)

    def child() -> list[dict[str, Any]]:
        before = logger.decisions_by_slice()
        clock.now = 7_000
        logger.count_unlogged(CONTROL)
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
