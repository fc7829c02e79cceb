"""A chunk's end, and that what owns partitions keeps to the interface."""

from __future__ import annotations

from event_schemas.log_record import LogRecord
from stream_processors.judged_chunk import JudgedChunk
from stream_processors.owned_partitions import OwnedPartitions
from stream_processors.record_chunk import PartitionOwner, RecordChunk
from stream_processors.record_columns import RecordColumns


def test_the_end_is_after_the_last_record_whatever_the_gaps() -> None:
    records = RecordColumns.of([LogRecord("events", 1, offset, 0, None, None) for offset in (4, 5, 9)])
    assert RecordChunk(1, 1, 2, JudgedChunk(records)).end == 10


def test_owned_partitions_is_a_partition_owner() -> None:
    owner: type[PartitionOwner] = OwnedPartitions
    assert all(callable(getattr(owner, name)) for name in ("resume", "judge", "committable", "committed"))
