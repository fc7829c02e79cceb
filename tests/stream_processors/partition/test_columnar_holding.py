"""Plain events are held in columns, all others left; what comes of a log does not depend on it."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.codec import HEADER
from event_schemas.log_record import LogRecord
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition.columnar_holding import FEW, Held
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.first_offset import FirstOffset
from stream_processors.partition.partition_join import Emission, PartitionJoin
from stream_processors.partition.pending_decisions import Expired, PendingDecisions
from stream_processors.partition.watermark_course import LAST, watermark_course
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.event_strategies import Move, moves, written
from tests.stream_processors.join_runs import (
    VALIDATOR,
    assert_same_outputs,
    bucket_counts,
    buckets_per_window,
    columns_beyond,
    process,
)
from tests.stream_processors.partition.pending_runs import advance


def held(pending: PendingDecisions, records: list[LogRecord], cap: int = sys.maxsize) -> Held:
    """What is held of one chunk, which then moves the watermark."""
    validated = VALIDATOR.validate(RecordColumns.of(records))
    course = watermark_course(validated, pending.watermark, small_rule())
    with columns_beyond(0):
        found = pending.hold_plain(validated, course, cap)
    pending.watermark = course.at(len(records))
    return found


@pytest.fixture
def pending() -> PendingDecisions:
    return PendingDecisions(small_rule(), 0, CODEC)


def test_ordinary_traffic_is_held_whole(pending: PendingDecisions) -> None:
    log = EventLog()
    for number in range(20):
        log.decision(f"r{number}", 100 + number)
        log.ranking(f"r{number}", 100 + number)
        log.engagement(f"r{number}", 101 + number, engagement_id="e")
    log.engagement("r3", 140, engagement_id="e")
    log.engagement("early", 139)
    log.heartbeat(150)
    assert held(pending, log.records) == Held(1, 1, [])
    assert pending.open_count == 21
    assert pending.watermark == 150


def test_a_part_given_twice_is_left_with_all_of_its_decision(pending: PendingDecisions) -> None:
    log = EventLog()
    log.decision("a", 100)
    log.decision("b", 100)
    log.action("a", 101, arm=3)
    assert held(pending, log.records).left == [0, 1, 2, 6]
    log = EventLog(first_offset=7)
    log.request("b", 100)
    assert held(pending, log.records).left == [0], "it has one"


def test_a_decision_that_may_end_within_the_chunk_is_left(pending: PendingDecisions) -> None:
    log = EventLog()
    log.decision("a", 100)
    assert held(pending, log.records).left == []
    log = EventLog(first_offset=3)
    log.engagement("a", 110)
    log.decision("b", 180)
    log.request("c", 100 + WINDOW_MS)
    assert held(pending, log.records).left == [0]


def test_decisions_that_begin_and_may_end_within_the_chunk_are_left(pending: PendingDecisions) -> None:
    log = EventLog()
    log.decision("a", 100)
    log.decision("b", 500)
    assert held(pending, log.records).left == [0, 1, 2, 3, 4, 5]


def test_malformed_future_and_late_events_are_left(pending: PendingDecisions) -> None:
    pending.watermark = 1_000
    log = EventLog()
    log.append(b"x", b"no event", 1_000)
    log.request("future", 1_100, append_time=1_000)
    log.request("late", 1_000 - WINDOW_MS)
    log.request("a", 1_000)
    assert held(pending, log.records).left == [0, 1, 2]


def test_nothing_is_held_where_the_cap_might_be_reached(pending: PendingDecisions) -> None:
    log = EventLog()
    log.decision("a", 100)
    assert held(pending, log.records, cap=2).left == [0, 1, 2]
    assert held(pending, log.records, cap=3).left == []


@pytest.mark.parametrize(("newest", "left"), [(LAST - WINDOW_MS, []), (LAST - WINDOW_MS + 1, [0, 1, 2])])
def test_nothing_is_held_if_the_window_of_the_newest_event_ends_after_all_time(
    pending: PendingDecisions, newest: int, left: list[int]
) -> None:
    log = EventLog()
    log.request("a", newest - 2)
    log.request("b", newest - 1)
    log.heartbeat(newest)
    assert held(pending, log.records).left == left


def test_nothing_is_held_with_a_part_that_cannot_be_lifted(pending: PendingDecisions) -> None:
    log = EventLog()
    log.decision("a", 100)
    log.ranking("a", 100, version="reordered")
    assert held(pending, log.records).left == [0, 1, 2, 3]


def test_parts_that_can_be_lifted_are_held_and_join_in_the_newest_version(pending: PendingDecisions) -> None:
    log = EventLog()
    for part, version in (("request", "first"), ("action", "newest"), ("propensity", "first")):
        getattr(log, part)("a", 100, version=version)
        getattr(log, part)("b", 100, version="first")
    log.request("c", 100, version="first")
    assert held(pending, log.records) == Held(0, 0, [])
    log = EventLog(first_offset=len(log.records))
    log.action("c", 100)
    log.propensity("c", 100, version="first")
    assert held(pending, log.records) == Held(0, 0, [])
    (closed,) = advance(pending, 100 + WINDOW_MS)
    assert isinstance(closed, CompleteDecisions)
    assert closed.keys == [b"a", b"b", b"c"]
    for request_id, body in zip("abc", closed.bodies, strict=True):
        newest = EventLog()
        newest.decision(request_id, 100)
        assert body == b"".join((record.value or b"")[HEADER.size :] for record in newest.records) + b"\0"


def test_events_of_an_open_decision_are_held_and_those_of_a_closed_one_left(pending: PendingDecisions) -> None:
    log = EventLog()
    log.decision("closed", 100)
    log.decision("open", 100)
    assert held(pending, log.records).left == []
    assert len(list(pending.close_beyond(1))) == 1
    log = EventLog(first_offset=6)
    log.engagement("closed", 110)
    log.engagement("open", 110)
    assert held(pending, log.records) == Held(0, 0, [0])


def test_times_of_events_held_in_columns_count(pending: PendingDecisions) -> None:
    """An older event expires at its own time, and a decision is remembered for a window after a newer one."""
    log = EventLog()
    log.action("a", 150)
    log.request("b", 150)
    assert held(pending, log.records).left == []
    log = EventLog(first_offset=2)
    log.engagement("a", 120)
    log.engagement("b", 190)
    assert held(pending, log.records).left == []
    pending.watermark = 120 + WINDOW_MS
    (expired,) = pending.advance()
    assert isinstance(expired, Expired) and expired.event.offset == 2
    pending.watermark = 190 + WINDOW_MS - 1
    assert len(list(pending.advance())) == 2
    assert pending.first_remembered() == FirstOffset(1, 150, b"b", 150)


@pytest.mark.parametrize("cut", range(1, 9))
def test_parts_may_come_in_any_chunks_and_a_ranking_last(cut: int) -> None:
    log = EventLog()
    log.ranking("first", 100)
    log.decision("first", 100)
    log.decision("last", 101)
    log.ranking("last", 102)
    beat = EventLog(first_offset=len(log.records))
    beat.heartbeat(200 + WINDOW_MS)
    expected = process(PartitionJoin(small_rule(), CODEC, 0), [*log.records, *beat.records])
    assert expected.examples == 2
    join, emissions = PartitionJoin(small_rule(), CODEC, 0), list[Emission]()
    with columns_beyond(0):
        for records in (log.records[:cut], log.records[cut:], beat.records):
            emissions += process(join, records).emissions if records else ()
    assert tuple(emissions) == expected.emissions


def test_a_small_chunk_is_left(pending: PendingDecisions) -> None:
    log = EventLog()
    for number in range(FEW):
        log.request(f"r{number}", 100)
    validated = VALIDATOR.validate(RecordColumns.of(log.records))
    course = watermark_course(validated, None, small_rule())
    assert pending.hold_plain(validated, course, sys.maxsize).left == list(range(FEW))


def test_decisions_stand_in_the_order_they_began_however_they_were_held(pending: PendingDecisions) -> None:
    """One of a decision that was forgotten begins it anew, one by one, before others that began in columns."""
    join = PartitionJoin(small_rule(), CODEC, 0)
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(100 + WINDOW_MS - 1)
    process(join, log.records)
    again = EventLog(first_offset=len(log.records))
    again.heartbeat(100 + WINDOW_MS)
    again.request("a", 100 + WINDOW_MS)
    again.request("b", 100 + WINDOW_MS)
    with columns_beyond(0):
        process(join, again.records)
    assert join.oldest is not None
    assert (join.oldest.key, join.oldest.offset) == (b"a", 5)


@given(st.lists(moves, max_size=80), st.sampled_from([1000, 40, 3]), st.integers(1, 60), bucket_counts)
@settings(max_examples=200, deadline=None)
def test_columns_change_nothing(history: list[Move], cap: int, chunk: int, count: int) -> None:
    with buckets_per_window(count):
        assert_columns_change_nothing(written(history), cap, chunk)


def assert_columns_change_nothing(log: list[LogRecord], cap: int, chunk: int) -> None:
    in_columns, one_by_one = PartitionJoin(small_rule(cap), CODEC, 0), PartitionJoin(small_rule(cap), CODEC, 0)
    for start in range(0, len(log), chunk):
        records = log[start : start + chunk]
        with columns_beyond(0):
            found = process(in_columns, records)
        with columns_beyond(sys.maxsize):
            wanted = process(one_by_one, records)
        assert_same_outputs(found.emissions, wanted.emissions)
        assert (found.fates, found.examples) == (wanted.fates, wanted.examples)
        assert in_columns.position() == one_by_one.position()
        assert (in_columns.pending, in_columns.oldest) == (one_by_one.pending, one_by_one.oldest)
