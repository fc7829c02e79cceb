"""Offsets and commits on a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from producers.topics.topic_identity import topic_identities
from stream_processors.partition.commit_position import CommitPosition, LogReplaced
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory
from trimtab.settings import Settings
from trimtab.status.log_facts import read_log_facts
from trimtab.status.status_facts import LogFacts


@pytest.fixture
def settings(kafka: KafkaBroker, topics: TopicFactory) -> Settings:
    """Two partitions: three events in the first, one in the second, two examples and a dead letter."""
    settings = Settings(kafka_bootstrap=kafka.bootstrap, topic_prefix=topics(2))
    producer = Producer(settings.kafka_client_config())
    for topic, partition, records in (("events", 0, 3), ("events", 1, 1), ("examples", 0, 2), ("dead-letters", 1, 1)):
        for _ in range(records):
            producer.produce(f"{settings.topic_prefix}{topic}", b"x", partition=partition)
    assert producer.flush(20) == 0
    return settings


def commit(settings: Settings, settled: int, topic_id: str) -> None:
    """What a worker of the join commits for the first partition."""
    position = CommitPosition(settled, settled, 0, None, 0, 1_000, topic_id)
    consumer = Consumer({**settings.kafka_client_config(), "group.id": f"{settings.topic_prefix}join"})
    place = TopicPartition(f"{settings.topic_prefix}events", 0, position.rebuild_from, position.encode())
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()


def test_what_waits_and_what_was_written(settings: Settings) -> None:
    assert read_log_facts(settings) == LogFacts({0: 3, 1: 1}, 0, events=4, examples=2, dead_letters=1)
    identity = topic_identities(settings.kafka_client_config()).of(f"{settings.topic_prefix}events")
    commit(settings, 2, identity)
    facts = read_log_facts(settings)
    assert (facts.lag, facts.unprocessed, facts.windows) == ({0: 1, 1: 1}, 2, (1_000,))
    commit(settings, 2, "another-topic")
    with pytest.raises(LogReplaced):
        read_log_facts(settings)


def test_a_runtime_with_a_declared_identity_is_not_asked_for_workers(settings: Settings) -> None:
    assert read_log_facts(settings.model_copy(update={"kafka_identity": "run-7"})).workers is None
