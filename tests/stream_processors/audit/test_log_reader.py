"""Reading a topic by offset: exact ranges, whole topics, and errors that name the fix."""

from __future__ import annotations

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka import Producer

from event_schemas.errors import ComponentUnreachable
from producers.topics.topic_admin import TopicError
from stream_processors.audit.log_reader import LogRange, LogReader, LogUnreadable
from stream_processors.partition.commit_position import CommitPosition
from stream_processors.worker.batch_transport import METADATA_END
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory


def _fill(kafka: KafkaBroker, topic: str, records: int, partitions: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "linger.ms": 20})
    for number in range(records):
        key = None if number == 0 else f"k{number}".encode()
        producer.produce(topic, f"v{number}".encode(), key, partition=number % partitions)
    producer.flush(20)


def test_reads_every_record_with_its_place(kafka: KafkaBroker, topics: TopicFactory) -> None:
    topic = topics(3) + "events"
    _fill(kafka, topic, 30, 3)
    reader = LogReader({"bootstrap.servers": kafka.bootstrap}, topic)
    assert reader.ranges() == {p: LogRange(0, 10) for p in range(3)}
    records = list(reader.read_all())
    assert len(records) == 30
    first = next(record for record in records if record.partition == 0 and record.offset == 0)
    assert (first.topic, first.key, first.value) == (topic, None, b"v0")
    assert abs(first.append_time - time.time() * 1000) < 60_000
    for partition in range(3):
        offsets = [record.offset for record in records if record.partition == partition]
        assert offsets == list(range(10))


def test_reads_exactly_the_ranges_asked_for(kafka: KafkaBroker, topics: TopicFactory) -> None:
    topic = topics(2) + "events"
    _fill(kafka, topic, 40, 2)
    reader = LogReader({"bootstrap.servers": kafka.bootstrap}, topic)
    records = list(reader.read({0: LogRange(5, 8), 1: LogRange(19, 500)}))
    assert [(r.partition, r.offset) for r in records if r.partition == 0] == [(0, 5), (0, 6), (0, 7)]
    assert [(r.partition, r.offset) for r in records if r.partition == 1] == [(1, 19)], "the log ends before 500"
    assert list(reader.read({0: LogRange(3, 3)})) == []


def test_headers_and_the_first_offset_of_a_time(kafka: KafkaBroker, topics: TopicFactory) -> None:
    topic = topics(2) + "events"
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(topic, b"v", b"k", 1, headers=[("name", b"7"), ("empty", None)])
    producer.produce(topic, b"w", b"k", 1)
    assert producer.flush(20) == 0
    reader = LogReader({"bootstrap.servers": kafka.bootstrap}, topic)
    read = list(reader.read_with_headers(reader.ranges()))
    assert [headers for _, headers in read] == [{"name": b"7", "empty": b""}, {}]
    last = read[1][0].append_time
    assert reader.first_since(1, -5) == 0
    assert reader.first_since(1, last) <= 1
    assert reader.first_since(1, last + 60_000) == 2
    assert reader.first_since(0, 0) == 0


def test_offsets_beyond_the_log_are_an_error(kafka: KafkaBroker, topics: TopicFactory) -> None:
    topic = topics(1) + "events"
    reader = LogReader({"bootstrap.servers": kafka.bootstrap}, topic)
    with pytest.raises(LogUnreadable, match="still has"):
        list(reader.read({0: LogRange(50, 60)}))


def test_committed_positions_of_a_group(kafka: KafkaBroker, topics: TopicFactory) -> None:
    topic = topics(4) + "events"
    _fill(kafka, topic, 40, 4)
    positions = {p: CommitPosition(10, 9, 8 - p, 123_456 * 10**p, 0, 5) for p in (0, 2, 3)}
    asyncio.run(_commit(kafka, topic, positions))
    reader = LogReader({"bootstrap.servers": kafka.bootstrap}, topic)
    assert reader.committed("someone") == positions
    assert reader.committed("nobody") == {}


def test_an_absent_topic_and_an_absent_broker_are_told_apart(kafka: KafkaBroker) -> None:
    with pytest.raises(TopicError, match="topics create"):
        LogReader({"bootstrap.servers": kafka.bootstrap}, "absent")
    began = time.monotonic()
    with pytest.raises(ComponentUnreachable):
        LogReader({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, "absent")
    assert time.monotonic() - began < 12


async def _commit(kafka: KafkaBroker, topic: str, positions: dict[int, CommitPosition]) -> None:
    """Commit as the join's transport does."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id="someone", enable_auto_commit=False)
    await consumer.start()
    places = {TopicPartition(topic, p): at for p, at in positions.items()}
    consumer.assign(list(places))
    await consumer.commit(
        {place: OffsetAndMetadata(at.rebuild_from, at.encode() + METADATA_END) for place, at in places.items()}
    )
    await consumer.stop()
