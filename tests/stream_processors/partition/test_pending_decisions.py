"""Pending decisions: what closes, expires and is forgotten, when, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.partition import pending_decisions
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.engagement_ids import FEW_IDS
from stream_processors.partition.pending_decisions import (
    OVERDUE,
    Ended,
    Expired,
    FirstOffset,
    PendingDecisions,
    Rejected,
    Unfinished,
)
from stream_processors.partition.timer_buckets import BUCKETS_PER_WINDOW
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.join_runs import buckets_per_window

VALIDATOR = ChunkValidator(CODEC, small_rule())


@pytest.fixture(params=[BUCKETS_PER_WINDOW, 4, 1], autouse=True)
def few_or_many_buckets(request: pytest.FixtureRequest) -> Iterator[None]:
    """With few buckets what comes due soon comes due in one that is open already."""
    with buckets_per_window(request.param):
        yield


def hold(pending: PendingDecisions, log: EventLog, place: int) -> Rejected | None:
    event = VALIDATOR.validate_one(log.records[place])
    assert isinstance(event, InputEvent)
    key, value, offset = event.record.key or b"", event.record.value or b"", event.offset
    if event.engagement is not None:
        return pending.hold_engagement(event.engagement, key, value, offset, event.event_time)
    return pending.hold_part(event.name, key, value, offset, event.event_time)


def holding(log: EventLog, watermark: int | None = 0) -> PendingDecisions:
    pending = PendingDecisions(small_rule(), partition=0)
    pending.watermark = watermark
    for place in range(len(log.records)):
        hold(pending, log, place)
    return pending


def advance(pending: PendingDecisions, watermark: int) -> list[Ended]:
    pending.watermark = watermark
    return list(pending.advance())


def offsets(ended: Iterable[Ended]) -> list[list[int]]:
    """The offsets of the events each end is about; of complete decisions the requests'."""
    found = []
    for end in ended:
        if isinstance(end, CompleteDecisions):
            found.append(end.request_offsets)
        else:
            found.append([event.offset for event in (end.events if isinstance(end, Unfinished) else end)])
    return found


def test_a_decision_closes_when_the_watermark_reaches_the_end_of_its_window() -> None:
    log = EventLog()
    log.decision("a", 10)
    pending = holding(log)
    assert advance(pending, 10 + WINDOW_MS - 1) == []
    (ended,) = advance(pending, 10 + WINDOW_MS)
    assert isinstance(ended, CompleteDecisions)
    assert (ended.keys, ended.joined, ended.outside) == ([b"a"], 3, 0)
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


def test_without_a_request_events_expire_one_by_one() -> None:
    log = EventLog()
    log.engagement("a", 10)
    log.action("a", 20)
    pending = holding(log)
    (first,) = advance(pending, 10 + WINDOW_MS)
    assert isinstance(first, Expired) and first.event.engagement is not None
    assert pending.open_count == 1
    (second,) = advance(pending, 20 + WINDOW_MS)
    assert isinstance(second, Expired) and second.event.name == "Action"
    assert pending.open_count == 0
    assert pending.first_remembered() is None


def test_a_request_in_time_adopts_what_came_before_it() -> None:
    log = EventLog()
    log.engagement("a", 10)
    log.request("a", 60)
    (ended,) = advance(holding(log), 60 + WINDOW_MS)
    assert isinstance(ended, Unfinished)
    assert [event.offset for event in ended.events] == [0, 1]
    assert ended.missing == ("Action", "Propensity")


def test_engagements_that_came_early_are_tallied_when_the_last_part_comes() -> None:
    log = EventLog()
    log.engagement("a", 11, engagement_id="e", kind="tap", value=2.0)
    log.engagement("a", 10 + WINDOW_MS // 2, kind="hide")
    log.decision("a", 10)
    log.engagement("a", 12, engagement_id="e", kind="tap", value=2.0)
    (ended,) = advance(holding(log), 1000)
    assert isinstance(ended, CompleteDecisions)
    assert (ended.totals, ended.joined, ended.outside) == ([(2.0, 2.0)], 4, 1)


def test_what_ends_without_an_example_carries_topic_and_place() -> None:
    log = EventLog(partition=3, first_offset=7)
    log.request("a", 10)
    log.engagement("b", 20)
    pending = PendingDecisions(small_rule(), partition=3)
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
    pending = PendingDecisions(small_rule(), partition=0)
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
    pending = PendingDecisions(small_rule(), partition=0)
    pending.watermark = 5
    hold(pending, log, 0)
    hold(pending, log, 1)
    advance(pending, 10 + WINDOW_MS)
    assert (pending.first_remembered(), pending.first_open()) == (FirstOffset(0, 5, b"a"), None)
    rejected = hold(pending, log, 2)
    assert rejected is not None and rejected.fate is Fate.ORPHAN
    advance(pending, 50 + WINDOW_MS)
    assert pending.first_remembered() == FirstOffset(0, 5, b"a")
    advance(pending, 60 + WINDOW_MS)
    assert pending.first_remembered() is None


def test_a_closed_decision_is_remembered_to_the_millisecond() -> None:
    log = EventLog()
    log.request("a", 10)
    log.engagement("a", 50)
    pending = holding(log)
    advance(pending, 50 + WINDOW_MS - 1)
    assert pending.first_remembered() == FirstOffset(0, 0, b"a")
    advance(pending, 50 + WINDOW_MS)
    assert pending.first_remembered() is None


@pytest.mark.parametrize("newest", [11, 50])
def test_a_decision_without_a_request_is_forgotten_a_window_after_an_event_that_was_not_held(newest: int) -> None:
    log = EventLog()
    log.action("a", 10)
    log.action("a", newest, arm=4)
    pending = holding(log)
    assert offsets(advance(pending, 10 + WINDOW_MS)) == [[0]]
    assert advance(pending, newest + WINDOW_MS - 1) == []
    assert (pending.open_count, pending.first_open()) == (1, FirstOffset(0, 0, b"a"))
    assert advance(pending, newest + WINDOW_MS) == []
    assert (pending.open_count, pending.first_open(), pending.first_remembered()) == (0, None, None)


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


def test_an_event_of_a_decision_that_may_have_ended_waits_for_the_watermark() -> None:
    log = EventLog()
    log.request("a", 10)
    log.engagement("a", 50)
    pending = PendingDecisions(small_rule(), partition=0)
    hold(pending, log, 0)
    pending.watermark = 10 + WINDOW_MS
    assert hold(pending, log, 1) is OVERDUE
    assert len(list(pending.advance())) == 1
    assert hold(pending, log, 1) is None, "its decision was forgotten: this one begins another"
    assert pending.first_open() == FirstOffset(1, 10 + WINDOW_MS, b"a")


def test_the_cap_closes_the_lowest_first_offset_and_raises_the_floor() -> None:
    log = EventLog()
    for request_id, time in (("a", 30), ("b", 10), ("c", 20)):
        log.request(request_id, time)
    pending = holding(log)
    assert offsets(pending.close_beyond(1)) == [[0], [1]]
    assert pending.floor == 2
    assert pending.first_open() == FirstOffset(2, 0, b"c")
    assert list(pending.close_beyond(1)) == []


def test_an_empty_decision_that_the_cap_closed_is_forgotten_once() -> None:
    log = EventLog()
    log.action("a", 10)
    log.action("a", 50, arm=4)
    log.request("b", 60)
    pending = holding(log)
    assert offsets(advance(pending, 10 + WINDOW_MS)) == [[0]]
    assert offsets(pending.close_beyond(1)) == [[]]
    assert advance(pending, 50 + WINDOW_MS) == []
    assert pending.open_count == 1
    assert offsets(advance(pending, 1000)) == [[2]]
    assert (pending.open_count, len(pending._table.index)) == (0, 0)


def test_close_before_ends_what_an_earlier_run_had_closed() -> None:
    log = EventLog()
    for request_id in "abc":
        log.request(request_id, 10)
    pending = holding(log)
    pending.close_before(2)
    assert (pending.open_count, pending.floor) == (1, 2)
    assert offsets(advance(pending, 10 + WINDOW_MS)) == [[2]]


def test_a_number_given_to_a_new_decision_is_not_ended_by_what_was_due_for_the_old_one() -> None:
    log = EventLog()
    log.decision("a", 10)
    log.decision("b", 60)
    pending = PendingDecisions(small_rule(), partition=0)
    for place in range(3):
        hold(pending, log, place)
    list(pending.close_beyond(0))
    advance(pending, 10 + WINDOW_MS)
    for place in range(3, 6):
        hold(pending, log, place)
    assert offsets(advance(pending, 60 + WINDOW_MS - 1)) == []
    assert offsets(advance(pending, 60 + WINDOW_MS)) == [[3]]
