"""The table of decisions: rows are found by key, in the order they began, whatever their numbers."""

from __future__ import annotations

from event_schemas import records as r
from stream_processors.decision_table import CLOSED, NO_WATERMARK, DecisionTable


def hold(table: DecisionTable, row: int, name: str, value: bytes, offset: int) -> None:
    column = table.parts[name]
    column.values[row], column.offsets[row], column.times[row] = value, offset, 100 + offset


def close_and_forget(table: DecisionTable, row: int) -> None:
    table.states[row] = CLOSED
    table.release(row)
    table.forget(row)


def test_a_row_begins_open_with_nothing_held() -> None:
    table = DecisionTable(2, partition=4)
    row = table.begin(b"a", offset=7, time=50, watermark=None)
    assert table.by_key == {b"a": row}
    assert (table.first_offsets[row], table.oldest[row], table.newest[row]) == (7, 50, 50)
    assert table.watermarks[row] == NO_WATERMARK
    assert table.is_open(row)
    assert not table.holds_anything(row)
    assert table.totals[row] == (0.0, 0.0)


def test_parts_come_back_as_events_by_offset() -> None:
    table = DecisionTable(1, partition=4)
    table.topic = "events"
    row = table.begin(b"a", 7, 50, 3)
    hold(table, row, r.ACTION, b"action", 9)
    hold(table, row, r.REQUEST, b"request", 8)
    table.resolved[row, r.ACTION] = b"newest"
    request, action = table.held(row)
    assert (request.record.topic, request.record.partition, request.offset) == ("events", 4, 8)
    assert (request.name, request.request_id, request.event_time) == (r.REQUEST, "a", 108)
    assert (action.record.value, action.datum) == (b"action", b"newest")
    table.drop_part(row, r.ACTION)
    assert table.resolved == {}
    assert [event.name for event in table.held(row)] == [r.REQUEST]


def test_release_lets_go_of_everything_held() -> None:
    table = DecisionTable(1, partition=0)
    row = table.begin(b"a", 7, 50, None)
    hold(table, row, r.REQUEST, b"request", 8)
    table.resolved[row, r.REQUEST] = b"newest"
    table.seen[row], table.totals[row], table.outside[row] = ("e1",), (2.0,), 1
    table.release(row)
    assert not table.holds_anything(row)
    assert (table.seen[row], table.totals[row], table.outside[row], table.resolved) == ((), (0.0,), 0, {})


def test_first_rows_are_by_offset_and_skip_what_has_ended() -> None:
    table = DecisionTable(1, partition=0)
    first, second, third = (table.begin(key, place, 50, None) for place, key in enumerate((b"a", b"b", b"c")))
    table.states[first] = CLOSED
    assert (table.first_remembered(), table.first_open()) == (first, second)
    close_and_forget(table, second)
    assert (table.first_remembered(), table.first_open()) == (first, third)
    close_and_forget(table, first)
    assert (table.first_remembered(), table.first_open()) == (third, third)
    close_and_forget(table, third)
    assert (table.first_remembered(), table.first_open(), table.by_key) == (None, None, {})


def test_a_number_is_used_again_at_once_and_the_order_stays_that_of_beginning() -> None:
    table = DecisionTable(1, partition=0)
    first, second = table.begin(b"a", 1, 50, None), table.begin(b"b", 2, 50, None)
    close_and_forget(table, second)
    assert table.begin(b"c", 3, 50, None) == second
    assert (table.first_remembered(), table.first_open()) == (first, first)
    close_and_forget(table, first)
    assert (table.first_remembered(), table.first_open()) == (second, second)
    assert table.begin(b"d", 4, 50, None) == first
    assert table.first_remembered() == second
