"""Readers of a group, counted on a real broker."""

from __future__ import annotations

import time

from confluent_kafka import Consumer

from producers.topics.group_members import member_count
from tests.components.embedded_log import embedded_broker
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory


def test_readers_are_counted_while_they_read(kafka: KafkaBroker, topics: TopicFactory) -> None:
    client, prefix = {"bootstrap.servers": kafka.bootstrap}, topics(1)
    group = f"{prefix}join"
    assert member_count(client, group) == 0
    reader = Consumer({**client, "group.id": group})
    reader.subscribe([f"{prefix}events"])
    deadline = time.monotonic() + 30
    while member_count(client, group) != 1:
        assert time.monotonic() < deadline
        reader.poll(0.1)
    reader.close()
    assert member_count(client, group) == 0


def test_a_broker_that_does_not_tell() -> None:
    with embedded_broker() as bootstrap:
        assert member_count({"bootstrap.servers": bootstrap, "log_level": "2"}, "join") is None
