"""Fetched batches become the same records that aiokafka would hand out."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchError, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition
from faust.types import TP

from stream_processors.columns.record_columns import RecordColumns
from stream_processors.worker import fetched_batches
from stream_processors.worker.fetched_batches import take_fetched, unpack

PLACE = TopicPartition("events", 2)
GZIP = 1


def batch(start: int, count: int, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=0,
        producer_id=1,
        producer_epoch=0,
        base_sequence=0,
        batch_size=1_000_000,
    )
    for number in range(count):
        key = None if number == 1 else b"key"
        builder.append(number, timestamp=1_000 + number, key=key, value=b"value %d" % (start + number), headers=[])
    raw = bytearray(builder.build())
    raw[:8] = start.to_bytes(8, "big")
    return bytes(raw)


def fetched(raw: bytes, offset: int = 0) -> PartitionRecords:
    return PartitionRecords(PLACE, MemoryRecords(raw), None, offset, None, None, True, 0)


@pytest.mark.parametrize("compression", [0, GZIP])
@pytest.mark.parametrize("offset", [0, 3, 12])
def test_batches_give_what_aiokafka_gives(compression: int, offset: int) -> None:
    raw = batch(0, 5, compression) + batch(10, 5, compression)
    theirs, ours = fetched(raw, offset), fetched(raw, offset)
    expected = list(theirs)
    columns = unpack(PLACE, ours)
    assert columns.offsets == [record.offset for record in expected]
    assert columns.append_times == [record.timestamp for record in expected]
    assert columns.keys == [record.key for record in expected]
    assert columns.values == [record.value for record in expected]
    assert (columns.topic, columns.partition) == PLACE
    assert ours.next_fetch_offset == theirs.next_fetch_offset == 15


def test_a_control_batch_is_stepped_over() -> None:
    control = bytearray(batch(5, 1))
    attributes = 8 + 4 + 4 + 1 + 4
    control[attributes : attributes + 2] = (0x20).to_bytes(2, "big")
    ours = fetched(batch(0, 5) + bytes(control))
    ours._check_crcs = False
    assert unpack(PLACE, ours).offsets == [0, 1, 2, 3, 4]
    assert ours.next_fetch_offset == 6


def test_a_batch_that_does_not_match_its_check_sum_is_an_error() -> None:
    raw = bytearray(batch(0, 5))
    raw[-3] ^= 1
    with pytest.raises(CorruptRecordException):
        unpack(PLACE, fetched(bytes(raw)))


class Fetched:
    """What `take_fetched` sees of a fetcher: its results, and the position of each partition."""

    def __init__(self, results: dict[TopicPartition, Any], assigned: set[TopicPartition]) -> None:
        self._records = results
        self._subscriptions = SimpleNamespace(is_assigned=assigned.__contains__)
        self._wait_consume_future = None
        self.notified = 0

    def _notify(self, _: object) -> None:
        self.notified += 1


class Position:
    """One partition's place in reading."""

    def __init__(self, position: int) -> None:
        self.active, self.paused, self.position = True, False, position

    def state_value(self, _: TopicPartition) -> Position:
        return self

    def consumed_to(self, offset: int) -> None:
        self.position = offset


def result(tp: TopicPartition, raw: bytes, position: Position, start: int = 0) -> FetchResult:
    return FetchResult(tp, assignment=position, partition_records=fetched(raw, start), backoff=0)


def test_everything_fetched_is_taken_and_the_position_moves() -> None:
    position = Position(0)
    fetcher: Any = Fetched({PLACE: result(PLACE, batch(0, 5), position)}, {PLACE})
    found = take_fetched(fetcher, {TP(*PLACE)})
    assert found.keys() == {TP(*PLACE)}
    assert found[TP(*PLACE)].offsets == [0, 1, 2, 3, 4]
    assert (position.position, fetcher._records, fetcher.notified) == (5, {}, 1)


def test_what_was_fetched_is_let_go_of_without_a_garbage_collection() -> None:
    taken = result(PLACE, batch(0, 5), Position(0))
    raw = weakref.ref(taken._partition_records)
    fetcher: Any = Fetched({PLACE: taken}, {PLACE})
    del taken
    gc.disable()
    try:
        take_fetched(fetcher, {TP(*PLACE)})
        assert raw() is None
    finally:
        gc.enable()


def test_a_further_partition_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched_batches, "RECORDS_AT_ONCE", 6)
    places = [TopicPartition("events", number) for number in range(4)]
    fetcher: Any = Fetched({tp: result(tp, batch(0, 5), Position(0)) for tp in places}, set(places))
    wanted = {TP(*tp) for tp in places}
    assert [tp.partition for tp in take_fetched(fetcher, wanted)] == [0, 1]
    assert list(fetcher._records) == places[2:]
    assert [tp.partition for tp in take_fetched(fetcher, wanted)] == [2, 3]


def test_what_was_fetched_before_a_seek_is_dropped() -> None:
    position = Position(3)
    fetcher: Any = Fetched({PLACE: result(PLACE, batch(0, 5), position)}, {PLACE})
    assert take_fetched(fetcher, {TP(*PLACE)}) == {}
    assert (position.position, fetcher._records) == (3, {})


def test_results_of_lost_partitions_are_dropped_and_of_paused_ones_kept() -> None:
    lost, paused = TopicPartition("events", 7), TopicPartition("events", 8)
    results = {tp: result(tp, batch(0, 1), Position(0)) for tp in (lost, paused)}
    fetcher: Any = Fetched(results, {PLACE, paused})
    assert take_fetched(fetcher, {TP(*PLACE)}) == {}
    assert list(fetcher._records) == [paused]


def test_an_error_is_raised_once_what_came_before_it_has_been_taken() -> None:
    failed = TopicPartition("events", 3)
    error = FetchError(error=KafkaError("gone"), backoff=0)
    fetcher: Any = Fetched({PLACE: result(PLACE, batch(0, 5), Position(0)), failed: error}, {PLACE, failed})
    wanted = {TP(*PLACE), TP(*failed)}
    assert isinstance(take_fetched(fetcher, wanted)[TP(*PLACE)], RecordColumns)
    with pytest.raises(KafkaError, match="gone"):
        take_fetched(fetcher, wanted)
    assert fetcher._records == {}
