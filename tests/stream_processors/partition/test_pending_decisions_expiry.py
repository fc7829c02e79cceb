"""Pending decisions: what expires without a request, and what was due for something that is gone by then."""

from __future__ import annotations

import pytest

from stream_processors.partition.first_offset import FirstOffset
from stream_processors.partition.pending_decisions import (
    OVERDUE,
    Expired,
    PendingDecisions,
    Unfinished,
)
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.partition.pending_runs import advance, hold, holding, offsets

pytestmark = pytest.mark.usefixtures("few_or_many_buckets")


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


@pytest.mark.parametrize("time", [60, 104])
def test_an_event_that_comes_while_an_older_one_is_about_to_expire_expires_at_its_own_time(time: int) -> None:
    log = EventLog()
    log.action("a", 10)
    log.propensity("a", time)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    hold(pending, log, 0)
    assert advance(pending, 5 + WINDOW_MS) == []
    hold(pending, log, 1)
    assert offsets(advance(pending, 10 + WINDOW_MS)) == [[0]]
    assert offsets(advance(pending, time + WINDOW_MS)) == [[1]]
    assert pending.open_count == 0


@pytest.mark.parametrize("last", ["action", "engagement"])
def test_a_request_adopts_an_event_that_was_about_to_expire(last: str) -> None:
    log = EventLog()
    getattr(log, last)("a", 10)
    log.request("a", 60)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    hold(pending, log, 0)
    assert advance(pending, 10 + WINDOW_MS - 1) == []
    hold(pending, log, 1)
    assert advance(pending, 60 + WINDOW_MS - 1) == []
    assert offsets(advance(pending, 60 + WINDOW_MS)) == [[0, 1]]


def test_an_older_event_that_comes_later_expires_at_its_own_time() -> None:
    log = EventLog()
    log.action("x", 1)
    log.action("a", 50)
    log.propensity("a", 20)
    log.propensity("a", 60)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    hold(pending, log, 0)
    assert offsets(advance(pending, 1 + WINDOW_MS)) == [[0]]
    assert [hold(pending, log, place) for place in (1, 2)] == [None, None]
    pending.watermark = 20 + WINDOW_MS
    assert hold(pending, log, 3) is OVERDUE
    assert offsets(pending.advance()) == [[2]]
    assert hold(pending, log, 3) is None
    assert offsets(advance(pending, 50 + WINDOW_MS)) == [[1]]
    assert offsets(advance(pending, 60 + WINDOW_MS)) == [[3]]


def test_what_comes_when_it_is_nearly_due_ends_at_its_time() -> None:
    log = EventLog()
    log.action("x", 1)
    log.decision("b", 3)
    log.action("c", 4)
    log.engagement("d", 5)
    log.request("e", 6)
    log.engagement("e", 6)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    hold(pending, log, 0)
    assert offsets(advance(pending, 1 + WINDOW_MS)) == [[0]]
    assert [hold(pending, log, place) for place in range(1, 8)] == [None] * 7
    for time, ended in ((2, []), (3, [[1]]), (4, [[4]]), (5, [[5]]), (6, [[6, 7]])):
        assert offsets(advance(pending, time + WINDOW_MS)) == ended
    advance(pending, 1000)
    assert (pending.open_count, len(pending._table.index)) == (0, 0)


def test_a_request_in_time_adopts_what_came_before_it() -> None:
    log = EventLog()
    log.engagement("a", 10)
    log.request("a", 60)
    (ended,) = advance(holding(log), 60 + WINDOW_MS)
    assert isinstance(ended, Unfinished)
    assert [event.offset for event in ended.events] == [0, 1]
    assert ended.missing == ("Action", "Propensity")


@pytest.mark.parametrize("newest", [11, 50])
def test_a_decision_without_a_request_is_forgotten_a_window_after_an_event_that_was_not_held(newest: int) -> None:
    log = EventLog()
    log.action("a", 10)
    log.action("a", newest, arm=4)
    pending = holding(log)
    assert offsets(advance(pending, 10 + WINDOW_MS)) == [[0]]
    assert advance(pending, newest + WINDOW_MS - 1) == []
    assert (pending.open_count, pending.first_open()) == (1, FirstOffset(0, 0, b"a", 10))
    assert advance(pending, newest + WINDOW_MS) == []
    assert (pending.open_count, pending.first_open(), pending.first_remembered()) == (0, None, None)


def test_an_event_of_a_decision_that_may_have_ended_waits_for_the_watermark() -> None:
    log = EventLog()
    log.request("a", 10)
    log.engagement("a", 50)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    hold(pending, log, 0)
    pending.watermark = 10 + WINDOW_MS
    assert hold(pending, log, 1) is OVERDUE
    assert len(list(pending.advance())) == 1
    assert hold(pending, log, 1) is None, "its decision was forgotten: this one begins another"
    assert pending.first_open() == FirstOffset(1, 10 + WINDOW_MS, b"a", 50)


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


def test_a_number_given_to_a_new_decision_is_not_ended_by_what_was_due_for_the_old_one() -> None:
    log = EventLog()
    log.decision("a", 10)
    log.decision("b", 60)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    for place in range(3):
        hold(pending, log, place)
    list(pending.close_beyond(0))
    advance(pending, 10 + WINDOW_MS)
    for place in range(3, 6):
        hold(pending, log, place)
    assert offsets(advance(pending, 60 + WINDOW_MS - 1)) == []
    assert offsets(advance(pending, 60 + WINDOW_MS)) == [[3]]


def test_a_decision_that_began_anew_in_its_row_is_not_ended_by_what_was_due_before_nor_is_the_rest_kept_back() -> None:
    log = EventLog()
    log.decision("a", 10)
    log.decision("b", 12)
    log.decision("a", 10 + WINDOW_MS)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    for place in range(6):
        hold(pending, log, place)
    assert advance(pending, 10 + WINDOW_MS - 1) == []
    assert offsets(pending.close_beyond(1)) == [[0]]
    pending.watermark = 12 + WINDOW_MS
    for place in range(6, 9):
        assert hold(pending, log, place) is None
    assert offsets(pending.advance()) == [[3]]
    assert offsets(advance(pending, 10 + 2 * WINDOW_MS)) == [[6]]


def test_an_unfinished_decision_that_the_cap_closed_does_not_end_again() -> None:
    log = EventLog()
    log.request("a", 10)
    log.request("b", 60)
    pending = holding(log)
    assert advance(pending, 10 + WINDOW_MS - 1) == []
    assert offsets(pending.close_beyond(1)) == [[0]]
    assert advance(pending, 10 + WINDOW_MS) == []
    assert (pending.open_count, offsets(advance(pending, 60 + WINDOW_MS))) == (1, [[1]])


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("kind", "fields"), [("action", {}), ("engagement", {"engagement_id": "e"})])
def test_an_event_that_the_cap_let_go_does_not_expire_nor_does_the_one_in_its_place(
    kind: str, fields: dict[str, str], again: bool
) -> None:
    log = EventLog()
    getattr(log, kind)("a", 10, **fields)
    log.request("b", 60)
    getattr(log, kind)("a", 60, **fields)
    pending = PendingDecisions(small_rule(), 0, CODEC)
    for place in (0, 1):
        hold(pending, log, place)
    assert advance(pending, 10 + WINDOW_MS - 1) == []
    assert offsets(pending.close_beyond(1)) == [[0]]
    pending.watermark = 10 + WINDOW_MS
    assert not again or hold(pending, log, 2) is None
    assert offsets(pending.advance()) == []
    assert offsets(advance(pending, 60 + WINDOW_MS)) == [[1], [2]][: 1 + again]
    assert (pending.open_count, pending._table.early) == (0, {})
