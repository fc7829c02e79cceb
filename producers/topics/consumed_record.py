"""What a consumer of confluent-kafka hands out, as the record that every reader sees."""

from __future__ import annotations

from confluent_kafka import Message

from event_schemas.log_record import LogRecord


def consumed_record(message: Message) -> LogRecord:
    """The record in a message without an error; its time is of whichever kind the topic keeps."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None and partition is not None and offset is not None
    return LogRecord(
        topic, partition, offset, message.timestamp()[1], as_bytes(message.key()), as_bytes(message.value())
    )


def as_bytes(field: bytes | str | None) -> bytes | None:
    """A key, value or header; the client's types let it be text, which it never is on the wire."""
    return field.encode() if isinstance(field, str) else field
