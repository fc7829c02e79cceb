"""librdkafka's in-process Kafka protocol broker, and a reader of its topics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Message, Producer, TopicPartition


@contextmanager
def embedded_broker() -> Iterator[str]:
    """The address of a broker that lives as long as the context; topics appear on first use, with 4 partitions."""
    host = Producer({"test.mock.num.brokers": 1})
    broker = next(iter(host.list_topics(timeout=10).brokers.values()))
    yield f"{broker.host}:{broker.port}"
    host.flush(1)


def read_all(bootstrap: str, topic: str) -> list[Message]:
    """Every message of the topic, partition by partition, up to the end that each has at the call."""
    # A fetch that waits for new records delays the requests for the next partition.
    settings = {"bootstrap.servers": bootstrap, "group.id": "read-all", "enable.auto.commit": False}
    consumer = Consumer({**settings, "fetch.wait.max.ms": 10})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return [message for number in partitions for message in _read_partition(consumer, topic, number)]
    finally:
        consumer.close()


def _read_partition(consumer: Consumer, topic: str, partition: int) -> list[Message]:
    place = TopicPartition(topic, partition)
    low, high = consumer.get_watermark_offsets(place, timeout=10)
    consumer.assign([TopicPartition(topic, partition, low)])
    found: list[Message] = []
    while len(found) < high - low:
        batch = consumer.consume(high - low - len(found), timeout=10)
        assert batch, f"{topic}/{partition} ended after {len(found)} of {high - low} records"
        found += batch
    return found
