"""A chunk's end, and that what owns partitions keeps to the interface."""

from __future__ import annotations

from event_schemas.log_record import LogRecord
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.worker.owned_partitions import OwnedPartitions
from stream_processors.worker.record_chunk import PartitionOwner, RecordChunk


def test_the_end_is_after_the_last_record_whatever_the_gaps() -> None:
    records = RecordColumns.of([LogRecord("events", 1, offset, 0, None, None) for offset in (4, 5, 9)])
    assert RecordChunk(1, 1, 2, ValidatedRecords(records, {})).end == 10


def test_owned_partitions_is_a_partition_owner() -> None:
    owner: type[PartitionOwner] = OwnedPartitions
    methods = ("take_partitions", "validate", "committable", "note_committed")
    assert all(callable(getattr(owner, name)) for name in methods)
