"""Columns of records: the same records, cut anywhere."""

from __future__ import annotations

from event_schemas.log_record import LogRecord
from stream_processors.columns.record_columns import RecordColumns

RECORDS = [LogRecord("events", 3, offset, 100 + offset, b"k%d" % offset, None) for offset in (5, 6, 9)]


def test_columns_hold_what_the_records_do() -> None:
    columns = RecordColumns.of(RECORDS)
    assert (columns.topic, columns.partition, columns.offsets) == ("events", 3, [5, 6, 9])
    assert [columns.record(place) for place in range(len(columns))] == RECORDS
    assert columns.end == 10


def test_a_part_is_columns_again() -> None:
    columns = RecordColumns.of(RECORDS)
    assert columns.part(1, 3) == RecordColumns.of(RECORDS[1:])
    assert len(columns.part(3, 3)) == 0


def test_places_by_offset_step_over_gaps() -> None:
    columns = RecordColumns.of(RECORDS)
    assert [columns.place_of(offset) for offset in (0, 5, 6, 7, 9, 10)] == [0, 0, 1, 2, 2, 3]


def test_no_records_are_empty_columns() -> None:
    assert len(RecordColumns.of([])) == RecordColumns.of([]).place_of(0) == 0
