"""Unpacks fetched record batches directly into columns.

aiokafka creates an object with eleven fields for every record, which costs more than everything else it does with the
record. This module unpacks whole batches into the columns that the join reads. It also does everything else that
`Fetcher.fetched_records`, `FetchResult.getall` and `PartitionRecords._unpack_records` do: positions, checksums, errors,
batches without records. The test of `batch_transport` stores their digests. The isolation level is read uncommitted.
"""

from __future__ import annotations

from typing import Any

from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.structs import TopicPartition
from faust.types import TP

from stream_processors.columns.record_columns import RecordColumns

RECORDS_AT_ONCE = 5_000


def take_fetched(fetcher: Fetcher, wanted: set[TP]) -> dict[TP, RecordColumns]:
    """Take the records fetched for these partitions out of the fetcher, which then fetches more.

    Takes all records of a partition, but no further partition once it has `RECORDS_AT_ONCE` records; the next call
    starts with the partitions left over. If the broker returned an error instead of records, it is raised once all
    records before it have been taken.
    """
    found: dict[TP, RecordColumns] = {}
    for tp, result in list(fetcher._records.items()):
        if tp not in wanted:
            if not fetcher._subscriptions.is_assigned(tp):
                del fetcher._records[tp]
            continue
        failed = type(result) is not FetchResult
        if (failed and found) or sum(map(len, found.values())) >= RECORDS_AT_ONCE:
            break
        del fetcher._records[tp]
        fetcher._notify(fetcher._wait_consume_future)
        if failed:
            result.check_raise()
        elif len(records := _take_all(tp, result)):
            found[TP(*tp)] = records
    return found


def _take_all(tp: TopicPartition, result: Any) -> RecordColumns:
    if not result.check_assignment(tp) or not result.has_more():
        return RecordColumns(*tp)
    fetched: PartitionRecords = result._partition_records
    records = unpack(tp, fetched)
    result._update_position()
    result._partition_records = None
    # Iterator and records refer to each other; this cycle would keep up to a megabyte of fetched bytes in memory.
    fetched._records_iterator = None
    return records


def unpack(tp: TopicPartition, fetched: PartitionRecords) -> RecordColumns:
    """The records of all batches from `fetched.next_fetch_offset` on; moves that offset past them.

    Raises CorruptRecordException when a batch does not match its checksum.
    """
    batches, found = fetched._records, RecordColumns(*tp)
    while batches.has_next():
        batch = batches.next_batch()
        if fetched._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {tp}")
        if not batch.is_control_batch:
            start = fetched.next_fetch_offset
            records = [record for record in batch if record.offset >= start]
            found.offsets += [record.offset for record in records]
            found.append_times += [record.timestamp for record in records]
            found.keys += [record.key for record in records]
            found.values += [record.value for record in records]
        fetched.next_fetch_offset = batch.next_offset
    return found
