"""The in-memory log keeps order, partitions and append times as a broker does."""

from __future__ import annotations

import itertools

import pytest

from event_schemas.log_record import LogRecord
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from producers.topics.key_partition import partition_of


def event(key: bytes | None, value: bytes = b"v", partition: int | None = None) -> OutgoingEvent:
    return OutgoingEvent("events", key, value, "Request", partition)


def test_records_of_one_key_keep_their_order_in_one_partition() -> None:
    log = MemoryLog(partitions=4, clock=itertools.count(100).__next__)
    log.send(event(b"a", b"1"))
    log.send(event(b"b", b"2"))
    log.send(event(b"a", b"3"))
    place = partition_of(b"a", 4)
    found = [record for record in log.partition_records("events", place) if record.key == b"a"]
    assert [(record.value, record.append_time) for record in found] == [(b"1", 100), (b"3", 102)]
    assert found[0] == LogRecord("events", place, 0, 100, b"a", b"1")


def test_offsets_count_per_partition() -> None:
    log = MemoryLog(partitions=2)
    for partition in (0, 1, 0):
        log.send(event(None, partition=partition))
    assert [(r.partition, r.offset) for r in log.records("events")] == [(0, 0), (0, 1), (1, 0)]


def test_keyless_records_go_round() -> None:
    log = MemoryLog(partitions=3)
    for _ in range(6):
        log.send(event(None))
    assert [len(log.partition_records("events", partition)) for partition in range(3)] == [2, 2, 2]


def test_a_topic_nobody_wrote_to_is_empty() -> None:
    log = MemoryLog()
    assert log.records("events") == []
    assert log.partition_records("events", 0) == []


def test_a_partition_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="partition 9 of events"):
        MemoryLog(partitions=2).send(event(None, partition=9))


def test_closing_keeps_the_records() -> None:
    log = MemoryLog()
    log.send(event(b"a"))
    assert log.close().acknowledged == 1
    assert len(log.records("events")) == 1
