"""Pending decisions: what closes, expires and is forgotten, when, and in which order."""

from __future__ import annotations

from stream_processors.chunk_validation import ChunkValidator
from stream_processors.fates import Fate
from stream_processors.input_event import InputEvent
from stream_processors.pending_decisions import PendingDecisions
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule

VALIDATOR = ChunkValidator(CODEC, small_rule())


def events(log: EventLog) -> list[InputEvent]:
    return [event for event in VALIDATOR.judge(log.records) if isinstance(event, InputEvent)]


def holding(log: EventLog, watermark: int = 0) -> PendingDecisions:
    pending = PendingDecisions(WINDOW_MS)
    for event in events(log):
        pending.hold(event, watermark)
    return pending


def test_a_decision_closes_when_the_watermark_reaches_the_end_of_its_window() -> None:
    log = EventLog()
    log.decision("a", 10)
    pending = holding(log)
    assert list(pending.advance(10 + WINDOW_MS - 1)) == []
    (ended,) = pending.advance(10 + WINDOW_MS)
    assert ended.decision.request_id == "a"
    assert ended.expired is None
    assert pending.open_count == 0
    assert pending.first_remembered() is None


def test_decisions_close_in_order_of_time_then_offset() -> None:
    log = EventLog()
    for request_id, time in (("late", 30), ("second", 20), ("third", 20), ("first", 10)):
        log.request(request_id, time)
    ended = [end.decision.request_id for end in holding(log).advance(1000)]
    assert ended == ["first", "second", "third", "late"]


def test_without_a_request_events_expire_one_by_one() -> None:
    log = EventLog()
    log.engagement("a", 10)
    log.action("a", 20)
    pending = holding(log)
    (first,) = pending.advance(10 + WINDOW_MS)
    assert first.expired is not None and first.expired.engagement is not None
    assert pending.open_count == 1
    (second,) = pending.advance(20 + WINDOW_MS)
    assert second.expired is not None and second.expired.name == "Action"
    assert pending.open_count == 0
    assert pending.first_remembered() is None


def test_a_request_in_time_adopts_what_came_before_it() -> None:
    log = EventLog()
    log.engagement("a", 10)
    log.request("a", 60)
    held = [[event.offset for event in ended.decision.events()] for ended in holding(log).advance(60 + WINDOW_MS)]
    assert held == [[0, 1]]


def test_the_first_copy_is_kept() -> None:
    log = EventLog()
    log.request("a", 10)
    log.request("a", 10)
    log.request("a", 10, user_id="other")
    log.engagement("a", 11, engagement_id="e", value=1.0)
    log.engagement("a", 12, engagement_id="e", value=5.0)
    pending = PendingDecisions(WINDOW_MS)
    verdicts = [pending.hold(event, 0) for event in events(log)]
    assert [verdict and verdict.fate for verdict in verdicts] == [
        None,
        Fate.DUPLICATE,
        Fate.CONFLICT,
        None,
        Fate.DUPLICATE,
    ]


def test_a_closed_decision_is_remembered_until_its_newest_event_is_a_window_old() -> None:
    log = EventLog()
    log.request("a", 10)
    log.engagement("a", 50)
    log.engagement("a", 60)
    before, after = events(log)[:2], events(log)[2]
    pending = PendingDecisions(WINDOW_MS)
    for event in before:
        pending.hold(event, 5)
    list(pending.advance(10 + WINDOW_MS))
    remembered = pending.first_remembered()
    assert remembered is not None
    assert (remembered.first_offset, remembered.watermark, pending.first_open()) == (0, 5, None)
    rejected = pending.hold(after, 10 + WINDOW_MS)
    assert rejected is not None and rejected.fate is Fate.ORPHAN
    list(pending.advance(50 + WINDOW_MS))
    assert pending.first_remembered() is remembered
    list(pending.advance(60 + WINDOW_MS))
    assert pending.first_remembered() is None


def test_the_cap_closes_the_lowest_first_offset_and_raises_the_floor() -> None:
    log = EventLog()
    for request_id, time in (("a", 30), ("b", 10), ("c", 20)):
        log.request(request_id, time)
    pending = holding(log)
    assert [decision.request_id for decision in pending.close_beyond(1)] == ["a", "b"]
    assert pending.floor == 2
    first = pending.first_open()
    assert first is not None and first.request_id == "c"
    assert list(pending.close_beyond(1)) == []


def test_close_before_ends_what_an_earlier_run_had_closed() -> None:
    log = EventLog()
    for request_id in "abc":
        log.request(request_id, 10)
    pending = holding(log)
    pending.close_before(2)
    assert (pending.open_count, pending.floor) == (1, 2)
    assert [end.decision.request_id for end in pending.advance(10 + WINDOW_MS)] == ["c"]
