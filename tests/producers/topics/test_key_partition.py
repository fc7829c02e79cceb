"""Key → partition: the contract's vectors, the values of Kafka's own tests among them, and librdkafka itself."""

from __future__ import annotations

import pytest
from confluent_kafka import Message, Producer

from producers.topics.key_partition import murmur2, partition_of
from tests.conformance.vector_files import Case, cases

VECTORS = cases("murmur2_partitions")


@pytest.mark.parametrize("case", VECTORS, ids=str)
def test_murmur2_is_kafkas(case: Case) -> None:
    key = bytes.fromhex(case.given.key)
    assert murmur2(key) == case.expected.murmur2, case.why
    assert [partition_of(key, count) for count in case.given.partitions] == case.expected.partition


def test_partitions_agree_with_librdkafka() -> None:
    producer = Producer({"test.mock.num.brokers": 1, "partitioner": "murmur2_random"})
    placed: dict[bytes | None, int | None] = {}

    def note(_: object, message: Message) -> None:
        placed[message.key()] = message.partition()

    keys = [bytes.fromhex(case.given.key) for case in VECTORS] + [f"request-{number}".encode() for number in range(64)]
    for key in keys:
        producer.produce("events", b"x", key, on_delivery=note)
    producer.flush(10)
    assert placed == {key: partition_of(key, 4) for key in keys}
    assert set(placed.values()) == {0, 1, 2, 3}
