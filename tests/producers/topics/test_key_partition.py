"""Key → partition, against the values that Kafka's own test suite holds."""

from __future__ import annotations

import pytest
from confluent_kafka import Message, Producer

from producers.topics.key_partition import murmur2, partition_of

KAFKA_VALUES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("data", "signed"), KAFKA_VALUES.items())
def test_murmur2_is_kafkas(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed % 2**32


def test_partitions_agree_with_librdkafka() -> None:
    producer = Producer({"test.mock.num.brokers": 1, "partitioner": "murmur2_random"})
    placed: dict[bytes | None, int | None] = {}

    def note(_: object, message: Message) -> None:
        placed[message.key()] = message.partition()

    keys = [f"request-{number}".encode() for number in range(64)]
    for key in keys:
        producer.produce("events", b"x", key, on_delivery=note)
    producer.flush(10)
    assert placed == {key: partition_of(key, 4) for key in keys}
    assert set(placed.values()) == {0, 1, 2, 3}
