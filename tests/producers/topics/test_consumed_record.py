"""A consumed message becomes a record, bytes untouched."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, Producer, TopicPartition

from event_schemas.log_record import LogRecord
from producers.topics.consumed_record import as_bytes, consumed_record
from tests.components.embedded_log import embedded_broker


def test_a_message_is_a_record_at_its_place() -> None:
    with embedded_broker() as bootstrap:
        producer = Producer({"bootstrap.servers": bootstrap})
        producer.produce("events", b"\xff\x00", b"key", 1, timestamp=5)
        producer.produce("events", None, None, 1, timestamp=6)
        assert producer.flush(20) == 0
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.assign([TopicPartition("events", 1, 0)])
        records: list[LogRecord] = []
        deadline = time.monotonic() + 20
        while len(records) < 2 and time.monotonic() < deadline:
            records += [consumed_record(message) for message in consumer.consume(2, 0.1) if message.error() is None]
        consumer.close()
    assert records == [LogRecord("events", 1, 0, 5, b"key", b"\xff\x00"), LogRecord("events", 1, 1, 6, None, None)]


def test_text_is_its_bytes() -> None:
    assert [as_bytes(field) for field in ("é", b"\xff", None)] == ["é".encode(), b"\xff", None]
