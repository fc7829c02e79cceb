"""The table of decisions: rows are found by key, in the order they began, whatever their numbers."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from event_schemas import records as r
from stream_processors.partition import arrival_order
from stream_processors.partition.decision_table import (
    CLOSED,
    COMPLETE,
    FREE,
    HAVE,
    NEEDED_BITS,
    NO_WATERMARK,
    DecisionTable,
)
from stream_processors.partition.held_parts import NEEDED

FRAMING = b"\0\0\0\0\1"
LIFTS = defaultdict(bytes, {FRAMING: b" and more"})
"""Every version is the newest one except that of `FRAMING`."""


def hold(table: DecisionTable, row: int, name: str, value: bytes, offset: int) -> None:
    table.hold_part(row, name, (value, offset, 100 + offset))


def close_and_forget(table: DecisionTable, row: int) -> None:
    table.states[row] = CLOSED
    table.release([row])
    table.forget(row)


def test_a_row_begins_open_with_nothing_held() -> None:
    table = DecisionTable(2, 4, LIFTS)
    row = table.begin(b"a", offset=7, time=50, watermark=None)
    assert (table.index.get(b"a"), len(table.index)) == (row, 1)
    assert (table.first_offsets[row], table.oldest[row], table.newest[row]) == (7, 50, 50)
    assert table.watermarks[row] == NO_WATERMARK
    assert table.is_open(row)
    assert not table.holds_anything(row)
    assert table.totals[row] == (0.0, 0.0)


def test_parts_come_back_as_events_by_offset() -> None:
    table = DecisionTable(1, 4, LIFTS)
    table.topic = "events"
    row = table.begin(b"a", 7, 50, 3)
    table.hold_part(row, r.ACTION, (b"action", 9, 109), b"newest")
    hold(table, row, r.REQUEST, FRAMING + b"request", 8)
    request, action = table.events_in(row)
    assert (request.record.topic, request.record.partition, request.offset) == ("events", 4, 8)
    assert (request.name, request.request_id, request.event_time) == (r.REQUEST, "a", 108)
    assert request.record.append_time == action.record.append_time == 0
    assert (action.record.value, action.datum) == (b"action", b"newest")
    assert (request.record.value, request.datum) == (FRAMING + b"request", b"request and more")
    table.drop_part(row, r.ACTION)
    assert table.have[row] == HAVE[r.REQUEST]
    assert table.parts.resolved == {}
    assert [event.name for event in table.events_in(row)] == [r.REQUEST]


def test_release_lets_go_of_everything_held() -> None:
    table = DecisionTable(1, 0, LIFTS)
    row = table.begin(b"a", 7, 50, None)
    table.mark_complete([row], [(b"request", b"action", b"propensity", b"")])
    table.seen[row], table.tallied[row], table.totals[row], table.outside[0][row] = "e1", 1, (2.0,), 1
    table.release([row])
    with pytest.raises(AssertionError, match="no block"):
        table.parts.bodies([row])
    assert (table.seen[row], table.tallied[row], table.totals[row], table.outside[0][row]) == (None, 0, (0.0,), 0)


def test_an_incomplete_row_is_released_of_parts_and_engagements() -> None:
    table = DecisionTable(1, 0, LIFTS)
    row = table.begin(b"a", 7, 50, None)
    table.hold_part(row, r.REQUEST, (b"request", 8, 108), b"newest")
    request = table.part_event(row, r.REQUEST)
    assert request is not None
    table.early[row] = {"e1": request}
    table.release_unfinished(row)
    assert not table.holds_anything(row)
    assert (table.parts.resolved, table.early) == ({}, {})


def test_a_complete_row_holds_its_parts_together() -> None:
    table = DecisionTable(1, 0, LIFTS)
    row = table.begin(b"a", 7, 50, None)
    for offset, name in enumerate(NEEDED):
        hold(table, row, name, FRAMING + name.encode(), 8 + offset)
    assert table.have[row] == NEEDED_BITS
    table.mark_complete([row])
    assert table.states[row] == COMPLETE
    assert table.parts.bodies([row]) == [b"".join(name.encode() + b" and more" for name in NEEDED) + b"\0"]
    assert (table.request_offsets[row], table.request_times[row]) == (8, 108)


def test_parts_noted_many_at_a_time_are_those_of_one_by_one() -> None:
    many, single = DecisionTable(1, 0, LIFTS), DecisionTable(1, 0, LIFTS)
    for table in (many, single):
        for key in (b"a", b"b", b"c"):
            table.begin(key, 7, 50, None)
    rows, offsets, times = np.array([2, 0]), np.array([9, 8]), np.array([109, 108])
    for name in (r.REQUEST, r.ACTION):
        many.note_parts(name, rows, offsets, times)
        for row, offset in zip(rows.tolist(), offsets.tolist(), strict=True):
            hold(single, row, name, b"value", offset)
    for column in ("have", "request_offsets", "request_times"):
        assert getattr(many, column) == getattr(single, column), column


def test_rows_may_be_complete_at_once() -> None:
    table = DecisionTable(1, 0, LIFTS)
    row = table.begin(b"a", 7, 50, None)
    table.mark_complete([row], [(b"request", b"action", b"propensity", b"ranking")])
    assert table.states[row] == COMPLETE
    assert table.parts.bodies([row]) == [b"requestactionpropensity\2ranking"]


def test_a_closed_row_is_remembered_as_long_as_its_newest_event() -> None:
    table = DecisionTable(1, 0, LIFTS)
    row = table.begin(b"a", 7, 50, None)
    assert table.first_remembered(since=51) == row, "it is open"
    table.states[row] = CLOSED
    assert table.first_remembered(since=50) == row
    assert table.first_remembered(since=51) is None


def test_a_decision_may_begin_before_those_that_were_read_past() -> None:
    table = DecisionTable(1, 0, LIFTS)
    second = table.begin(b"b", 9, 50, None)
    assert (table.first_remembered(since=0), table.first_open()) == (second, second)
    table.states[second] = CLOSED
    assert table.first_open() is None
    first = table.begin(b"a", 7, 50, None)
    assert (table.first_remembered(since=0), table.first_open()) == (first, first)


def test_a_decision_may_begin_before_those_that_were_forgotten() -> None:
    table = DecisionTable(1, 0, LIFTS)
    close_and_forget(table, table.begin(b"a", 1, 50, None))
    close_and_forget(table, table.begin(b"b", 9, 50, None))
    assert (table.first_remembered(since=60), table.first_open()) == (None, None)
    between = table.begin(b"c", 7, 50, None)
    assert (table.first_remembered(since=60), table.first_open()) == (between, between)


def test_nothing_stays_of_a_forgotten_row_and_little_of_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrival_order, "KEPT_BEHIND", 4)
    table = DecisionTable(1, 0, LIFTS)
    for offset in range(100):
        row = table.begin(b"r%d" % offset, offset, 50, None)
        assert table.first_remembered(since=60) == row
        close_and_forget(table, row)
        assert (table.states[row], table.keys[row]) == (FREE, b"")
    assert len(table._order._rows) < 10


def test_first_rows_are_by_offset_and_skip_what_has_ended() -> None:
    table = DecisionTable(1, 0, LIFTS)
    first, second, third = (table.begin(key, place, 50, None) for place, key in enumerate((b"a", b"b", b"c")))
    table.states[first] = CLOSED
    assert (table.first_remembered(since=0), table.first_open()) == (first, second)
    close_and_forget(table, second)
    assert (table.first_remembered(since=0), table.first_open()) == (first, third)
    close_and_forget(table, first)
    assert (table.first_remembered(since=0), table.first_open()) == (third, third)
    close_and_forget(table, third)
    assert (table.first_remembered(since=0), table.first_open(), len(table.index)) == (None, None, 0)


def test_a_number_is_used_again_at_once_and_the_order_stays_that_of_beginning() -> None:
    table = DecisionTable(1, 0, LIFTS)
    first, second = table.begin(b"a", 1, 50, None), table.begin(b"b", 2, 50, None)
    close_and_forget(table, second)
    assert table.begin(b"c", 3, 50, None) == second
    assert (table.first_remembered(since=0), table.first_open()) == (first, first)
    close_and_forget(table, first)
    assert (table.first_remembered(since=0), table.first_open()) == (second, second)
    assert table.begin(b"d", 4, 50, None) == first
    assert table.first_remembered(since=0) == second


def test_many_begin_as_they_would_one_by_one() -> None:
    keys, offsets, times, before = [b"c", b"d", b"e"], [5, 8, 9], [70, 60, 80], [NO_WATERMARK, 65, 66]
    tables = DecisionTable(1, 0, LIFTS), DecisionTable(1, 0, LIFTS)
    for table in tables:
        table.begin(b"a", 1, 50, None)
        used = table.begin(b"b", 2, 50, None)
        table.hold_part(used, r.ACTION, (b"value", 2, 50))
        table.release_unfinished(used)
        close_and_forget(table, used)
    many, single = tables
    rows = many.begin_all(keys, offsets, np.array(times), np.array(before)).tolist()
    for key, offset, time, watermark in zip(keys, offsets, times, before, strict=True):
        single.begin(key, offset, time, None if watermark == NO_WATERMARK else watermark)
    assert [many.keys[row] for row in rows] == keys
    assert many.index.get_all(keys).tolist() == single.index.get_all(keys).tolist() == rows
    assert len(many.keys) == 4, "the row of b is used again"
    for column in ("states", "have", "first_offsets", "watermarks", "oldest", "newest", "totals", "seen"):
        assert getattr(many, column) == getattr(single, column), column
    assert many.first_open() == single.first_open() == many.index.get(b"a")
    many.states[many.keys.index(b"a")] = CLOSED
    assert many.first_open() == many.index.get(b"c")


def test_many_use_the_rows_given_back_last() -> None:
    table = DecisionTable(1, 0, LIFTS)
    given_back = [table.begin(key, offset, 50, None) for offset, key in enumerate((b"a", b"b", b"c"))]
    for row in given_back:
        close_and_forget(table, row)
    times, before = np.array([60, 60]), np.array([50, 60])
    rows = table.begin_all([b"d", b"e"], [7, 8], times, before).tolist()
    assert sorted(rows) == sorted(given_back[1:])
    assert table.begin(b"f", 9, 60, None) == given_back[0]
    assert [table.keys[row] for row in (*rows, given_back[0])] == [b"d", b"e", b"f"]


def test_many_use_all_rows_that_were_given_back() -> None:
    table = DecisionTable(1, 0, LIFTS)
    for row in [table.begin(key, offset, 50, None) for offset, key in enumerate((b"a", b"b"))]:
        close_and_forget(table, row)
    times = np.array([60, 60, 60])
    table.begin_all([b"d", b"e", b"f"], [7, 8, 9], times, times)
    assert len(table.keys) == 3


def test_none_begin_without_a_key() -> None:
    table = DecisionTable(1, 0, LIFTS)
    assert table.begin_all([], [], np.array([], np.int64), np.array([], np.int64)).tolist() == []
    assert table.first_open() is None
