"""The expiries: all that is due comes in order of time and offset, from timers, list and heap alike."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from event_schemas import records as r
from stream_processors.partition.decision_table import CLOSED, DecisionTable
from stream_processors.partition.expiry_queue import Due, ExpiryQueue
from stream_processors.partition.timer_buckets import FAR

WINDOW_MS = 640
LIFTS: defaultdict[bytes, bytes] = defaultdict(bytes)
"""Every version is the newest one."""


def begun(table: DecisionTable, expiries: ExpiryQueue, offset: int, time: int, request: bool = True) -> int:
    """A row that began with a Request, or an Action, of this time."""
    row = table.begin(b"r%d" % offset, offset, time, None)
    table.hold_part(row, r.REQUEST if request else r.ACTION, (b"value", offset, time))
    expiries.timers.enter(time + WINDOW_MS, row)
    return row


def taken(expiries: ExpiryQueue, watermark: int) -> list[tuple[int, int, Due, int]]:
    return [coming[:4] for coming in expiries.pop_due(watermark)]


def test_closings_come_in_order_and_not_too_early() -> None:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    first, second, third = (begun(table, expiries, *at) for at in ((5, 103), (6, 101), (7, 101)))
    assert expiries.next_due <= 101 + WINDOW_MS
    assert taken(expiries, 100 + WINDOW_MS) == []
    assert expiries.next_due == 101 + WINDOW_MS
    assert taken(expiries, 102 + WINDOW_MS) == [
        (101 + WINDOW_MS, 6, Due.CLOSE, second),
        (101 + WINDOW_MS, 7, Due.CLOSE, third),
    ]
    assert expiries.next_due == 103 + WINDOW_MS
    assert taken(expiries, 103 + WINDOW_MS) == [(103 + WINDOW_MS, 5, Due.CLOSE, first)]
    assert expiries.next_due == FAR


def test_what_is_added_to_an_open_bucket_comes_between_the_others() -> None:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    rows = [begun(table, expiries, 0, 101), begun(table, expiries, 1, 107)]
    assert taken(expiries, 101 + WINDOW_MS) == [(101 + WINDOW_MS, 0, Due.CLOSE, rows[0])]
    expiries.add(104 + WINDOW_MS, 9, Due.FORGET, 77)
    assert [offset for _, offset, _, _ in taken(expiries, 1_000)] == [9, 1]


NEAR_AND_LINE = [(101, 0), (103, 10), (104, 1), (105, 11), (106, 12), (107, 13), (108, 2)]
"""Times and offsets of what is due; offsets from 10 on are added when the bucket of all of them is open already."""


@pytest.fixture
def near_and_line() -> ExpiryQueue:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    rows = [begun(table, expiries, offset, time) for time, offset in NEAR_AND_LINE if offset < 10]
    assert taken(expiries, 100 + WINDOW_MS) == []
    for time, offset in sorted(NEAR_AND_LINE, key=lambda each: (each[0] * 5) % 7):
        if offset >= 10:
            expiries.add(time + WINDOW_MS, offset, Due.EXPIRE, rows[0])
    return expiries


def test_near_entries_and_the_list_come_in_one_order(near_and_line: ExpiryQueue) -> None:
    for time, offset in NEAR_AND_LINE:
        assert near_and_line.next_due == time + WINDOW_MS
        found = [(at, of) for at, of, _, _ in taken(near_and_line, time + WINDOW_MS)]
        assert found == [(time + WINDOW_MS, offset)]
    assert near_and_line.next_due == FAR


def test_near_entries_and_the_list_come_in_one_order_when_all_are_due(near_and_line: ExpiryQueue) -> None:
    found = [(at - WINDOW_MS, offset) for at, offset, _, _ in taken(near_and_line, 200 + WINDOW_MS)]
    assert found == NEAR_AND_LINE


def test_what_is_due_when_a_bucket_ends_comes_with_the_next_bucket() -> None:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    begun(table, expiries, 3, 110)
    early = begun(table, expiries, 7, 100, request=False)
    table.hold_part(early, r.REQUEST, (b"request", 8, 110))
    assert [offset for _, offset, _, _ in taken(expiries, 110 + WINDOW_MS)] == [3, 7]


def test_a_row_that_is_not_yet_due_is_entered_anew() -> None:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    row = begun(table, expiries, 0, 100, request=False)
    table.hold_part(row, r.REQUEST, (b"request", 3, 300))
    assert taken(expiries, 299 + WINDOW_MS) == []
    assert taken(expiries, 300 + WINDOW_MS) == [(300 + WINDOW_MS, 0, Due.CLOSE, row)]


def test_without_a_request_events_expire_and_an_empty_row_is_forgotten() -> None:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    row = begun(table, expiries, 4, 100, request=False)
    (expiry,) = expiries.pop_due(100 + WINDOW_MS)
    assert (expiry[:4], expiry[4] and expiry[4].offset) == ((100 + WINDOW_MS, 4, Due.EXPIRE, row), 4)
    table.drop_part(row, r.ACTION)
    expiries.add(102 + WINDOW_MS, 4, Due.FORGET, row)
    assert taken(expiries, 102 + WINDOW_MS) == [(102 + WINDOW_MS, 4, Due.FORGET, row)]


def test_a_row_that_is_empty_when_its_bucket_is_opened_is_forgotten_a_window_after_its_newest_event() -> None:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    row = begun(table, expiries, 4, 100, request=False)
    table.drop_part(row, r.ACTION)
    table.newest[row] = 103
    assert taken(expiries, 102 + WINDOW_MS) == []
    assert taken(expiries, 103 + WINDOW_MS) == [(103 + WINDOW_MS, 4, Due.FORGET, row)]


def test_closed_rows_are_passed_over() -> None:
    table = DecisionTable(1, 0, LIFTS)
    expiries = ExpiryQueue(table, WINDOW_MS)
    table.states[begun(table, expiries, 0, 100)] = CLOSED
    assert taken(expiries, 10_000) == []


def test_any_watermarks_give_the_same_order() -> None:
    draw = random.Random(5)
    times = [draw.randrange(5_000) for _ in range(300)]
    table = DecisionTable(1, 0, LIFTS)
    expiries, found, watermark = ExpiryQueue(table, WINDOW_MS), list[tuple[int, int]](), 0
    for offset, time in enumerate(times):
        begun(table, expiries, offset, time)
    while watermark < 6_000:
        watermark += draw.randrange(200)
        step = [(at, offset) for at, offset, _, _ in taken(expiries, watermark)]
        assert all(at <= watermark for at, _ in step)
        found += step
    assert found == sorted((time + WINDOW_MS, offset) for offset, time in enumerate(times))
