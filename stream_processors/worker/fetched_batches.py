"""Columns of records straight from fetched record batches.

aiokafka makes an object of eleven fields of every record it hands out, which costs more than all else it does with it.
Here the batches are unpacked in one go into what the join reads. Whatever else `Fetcher.fetched_records`,
`FetchResult.getall` and `PartitionRecords._unpack_records` do is done here too: positions, check sums, errors, batches
without records. The test of `batch_transport` holds their digests. The log is read uncommitted.
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
    """Records fetched for these partitions; the fetcher goes on to fetch what follows.

    All of a partition are taken, and no further partition after `RECORDS_AT_ONCE` records: the rest is for the next
    call, which comes to those partitions first. Raises what the broker answered instead of records, once everything
    that came before has been taken.
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
    # The iterator and what it iterates over hold each other, and with them up to a megabyte of fetched bytes.
    fetched._records_iterator = None
    return records


def unpack(tp: TopicPartition, fetched: PartitionRecords) -> RecordColumns:
    """The records of all batches, from `fetched.next_fetch_offset` on, which moves behind them.

    Raises CorruptRecordException when a batch does not match its check sum.
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
