"""Pending decisions: what closes and is forgotten, when, and in which order."""

from __future__ import annotations

import pytest

from stream_processors.partition import pending_decisions
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.engagement_ids import FEW_IDS
from stream_processors.partition.first_offset import FirstOffset
from stream_processors.partition.pending_decisions import (
    Expired,
    PendingDecisions,
    Unfinished,
)
from stream_processors.rule.fates import Fate
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.partition.pending_runs import advance, hold, holding, offsets

pytestmark = pytest.mark.usefixtures("few_or_many_buckets")


def test_a_decision_closes_when_the_watermark_reaches_the_end_of_its_window() -> None:
    log = EventLog()
    log.decision("a", 10)
    pending = holding(log)
    assert advance(pending, 10 + WINDOW_MS - 1) == []
    (ended,) = advance(pending, 10 + WINDOW_MS)
    assert isinstance(ended, CompleteDecisions)
    assert (ended.keys, ended.joined, ended.outside) == ([b"a"], 3, (0, 0, 0))
    assert pending.open_count == 0
    assert pending.first_remembered() is None


def test_decisions_close_in_order_of_time_then_offset() -> None:
    log = EventLog()
    for request_id, time in (("late", 30), ("second", 20), ("third", 20), ("first", 10)):
        log.request(request_id, time)
    assert offsets(advance(holding(log), 1000)) == [[3], [1], [2], [0]]


def test_complete_ones_close_together_and_in_order() -> None:
    log = EventLog()
    log.decision("a", 10)
    log.decision("b", 11)
    log.request("c", 12)
    log.decision("d", 13)
    assert offsets(advance(holding(log), 1000)) == [[6], [0, 3, 7]]


def test_engagements_that_came_early_are_tallied_when_the_last_part_comes() -> None:
    log = EventLog()
    log.engagement("a", 11, engagement_id="e", kind="tap", value=2.0)
    log.engagement("a", 10 + WINDOW_MS // 2, kind="hide")
    log.decision("a", 10)
    log.engagement("a", 12, engagement_id="e", kind="tap", value=2.0)
    (ended,) = advance(holding(log), 1000)
    assert isinstance(ended, CompleteDecisions)
    assert (ended.totals, ended.joined, ended.outside) == ([(2.0, 2.0)], 4, (1, 0, 0))


def test_what_ends_without_an_example_carries_topic_and_place() -> None:
    log = EventLog(partition=3, first_offset=7)
    log.request("a", 10)
    log.engagement("b", 20)
    pending = PendingDecisions(small_rule(), 3, CODEC)
    pending.topic = "events"
    assert pending.topic == "events"
    for place in (0, 1):
        hold(pending, log, place)
    unfinished, expired = advance(pending, 1000)
    assert isinstance(unfinished, Unfinished) and isinstance(expired, Expired)
    for event, written in zip((*unfinished.events, expired.event), log.records, strict=True):
        assert event.record == written._replace(topic="events", append_time=0)


def test_rare_sums_are_kept_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_decisions, "SUMS_KEPT", 1)
    log = EventLog()
    for number, request_id in enumerate("abc"):
        log.decision(request_id, 10)
        log.engagement(request_id, 11, value=float(number + 1))
    (ended,) = advance(holding(log), 1000)
    assert isinstance(ended, CompleteDecisions)
    assert ended.totals == [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0)]


def test_the_first_copy_is_kept() -> None:
    log = EventLog()
    log.request("a", 10)
    log.request("a", 10)
    log.request("a", 10, user_id="other")
    log.engagement("a", 11, engagement_id="e", value=1.0)
    log.engagement("a", 12, engagement_id="e", value=5.0)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    verdicts = [hold(pending, log, place) for place in range(5)]
    assert [verdict and verdict.fate for verdict in verdicts] == [
        None,
        Fate.DUPLICATE,
        Fate.CONFLICT,
        None,
        Fate.DUPLICATE,
    ]


@pytest.mark.parametrize("count", [1, FEW_IDS, FEW_IDS + 1, 4 * FEW_IDS])
def test_any_number_of_engagements_is_counted_once_each(count: int) -> None:
    log = EventLog()
    log.decision("a", 10)
    for _ in range(2):
        for number in range(count):
            log.engagement("a", 11, engagement_id=f"e{number}")
    (ended,) = advance(holding(log), 1000)
    assert isinstance(ended, CompleteDecisions)
    assert (ended.totals, ended.joined) == ([(float(count), 0.0)], 3 + count)


def test_a_closed_decision_is_remembered_until_its_newest_event_is_a_window_old() -> None:
    log = EventLog()
    log.request("a", 10)
    log.engagement("a", 50)
    log.engagement("a", 60)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    pending.watermark = 5
    hold(pending, log, 0)
    hold(pending, log, 1)
    advance(pending, 10 + WINDOW_MS)
    assert (pending.first_remembered(), pending.first_open()) == (FirstOffset(0, 5, b"a", 10), None)
    rejected = hold(pending, log, 2)
    assert rejected is not None and rejected.fate is Fate.ORPHAN
    advance(pending, 50 + WINDOW_MS)
    assert pending.first_remembered() == FirstOffset(0, 5, b"a", 10)
    advance(pending, 60 + WINDOW_MS)
    assert pending.first_remembered() is None


def test_a_closed_decision_is_remembered_to_the_millisecond() -> None:
    log = EventLog()
    log.request("a", 10)
    log.engagement("a", 50)
    pending = holding(log)
    advance(pending, 50 + WINDOW_MS - 1)
    assert pending.first_remembered() == FirstOffset(0, 0, b"a", 10)
    advance(pending, 50 + WINDOW_MS)
    assert pending.first_remembered() is None


@pytest.mark.parametrize(("watermark", "begins"), [(49 + WINDOW_MS, False), (50 + WINDOW_MS, True)])
def test_an_id_that_was_to_be_forgotten_begins_anew_to_the_millisecond(watermark: int, begins: bool) -> None:
    log = EventLog()
    log.decision("a", 10)
    log.engagement("a", 50)
    log.decision("a", 60)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    for place in range(4):
        hold(pending, log, place)
    assert offsets(advance(pending, 10 + WINDOW_MS)) == [[0]]
    pending.watermark = watermark
    assert [hold(pending, log, place) is None for place in (4, 5, 6)] == [begins] * 3
    assert offsets(advance(pending, 60 + WINDOW_MS)) == ([[4]] if begins else [])
    advance(pending, 1000)
    assert (pending.open_count, len(pending._table.index)) == (0, 0)


@pytest.mark.parametrize("step", [1, 7, 3 * WINDOW_MS])
def test_nothing_is_left_of_decisions_that_were_forgotten(step: int) -> None:
    log = EventLog()
    log.decision("complete", 10)
    log.request("unfinished", 10)
    log.engagement("unfinished", 50)
    log.action("orphan", 10)
    log.action("orphan", 50, arm=4)
    log.engagement("alone", 10)
    pending = holding(log)
    for watermark in range(10, 10 + 3 * WINDOW_MS, step):
        advance(pending, watermark)
    advance(pending, 10 + 3 * WINDOW_MS)
    assert (len(pending._table.index), pending._table.early) == (0, {})
    assert len(pending._table._free) == len(pending._table.keys) == 4


def test_the_cap_closes_the_lowest_first_offset_and_raises_the_floor() -> None:
    log = EventLog()
    for request_id, time in (("a", 30), ("b", 10), ("c", 20)):
        log.request(request_id, time)
    pending = holding(log)
    assert offsets(pending.close_beyond(1)) == [[0], [1]]
    assert pending.floor == 2
    assert pending.first_open() == FirstOffset(2, 0, b"c", 20)
    assert list(pending.close_beyond(1)) == []


def test_close_before_ends_what_an_earlier_run_had_closed() -> None:
    log = EventLog()
    for request_id in "abac":
        log.request(request_id, 10)
    pending = holding(log)
    pending.close_before(3)
    assert (pending.open_count, pending.floor) == (1, 3)
    pending.close_before(1)
    assert (pending.open_count, pending.floor) == (1, 3)
    assert offsets(advance(pending, 10 + WINDOW_MS)) == [[3]]


def test_a_row_used_again_begins_without_what_was_tallied_before() -> None:
    log = EventLog()
    for request_id, time in (("a", 10), ("b", 10 + 3 * WINDOW_MS)):
        log.decision(request_id, time)
        log.engagement(request_id, time + 1, engagement_id="e")
    pending = PendingDecisions(small_rule(), 0, CODEC)
    for places, watermark in ((range(4), 10 + WINDOW_MS), (range(4, 8), 10 + 4 * WINDOW_MS)):
        assert [hold(pending, log, place) for place in places] == [None] * 4
        (ended,) = advance(pending, watermark)
        assert isinstance(ended, CompleteDecisions)
        assert (ended.totals, ended.joined) == ([(1.0, 0.0)], 4)
        advance(pending, watermark + 2 * WINDOW_MS)
    assert len(pending._table.keys) == 1
