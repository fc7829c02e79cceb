"""On a real broker: where reading begins, what a group remembers, and what happens when reading cannot continue."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, without __all__
    AdminClient,
    NewPartitions,
    NewTopic,
)
from structlog.testing import capture_logs

from event_schemas.errors import ComponentUnreachable, RightMissing
from event_schemas.log_record import LogRecord
from producers.bridge.engagement_mapping import BridgeFate
from producers.bridge.source_consumer import ConsumerSettings, SourceConsumer, SourceUnreadable
from producers.bridge.source_position import SourcePartition
from producers.topics.topic_identity import TopicMissing
from tests.components.company_topics import create_source
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.components.topic_again import create_again


@pytest.fixture
def topic(kafka: KafkaBroker) -> str:
    name = f"source-{time.time_ns()}"
    create_source(kafka.bootstrap, name, partitions=2)
    return name


def send(kafka: KafkaBroker, topic: str, count: int, timestamp: int = 0) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for number in range(count):
        producer.produce(topic, f"{number}".encode(), b"k", number % 2, timestamp=timestamp)
    assert producer.flush(30) == 0


@contextmanager
def consumer(kafka: KafkaBroker, topic: str, **changes: Any) -> Iterator[SourceConsumer]:
    settings: dict[str, Any] = {"group": f"{topic}.bridge", "session_seconds": 1.0, "wait_seconds": 0.2, **changes}
    source = SourceConsumer(ConsumerSettings({"bootstrap.servers": kafka.bootstrap}, (topic,), **settings))
    try:
        yield source
    finally:
        source.close()


def poll(source: SourceConsumer, until: Callable[[list[LogRecord]], bool]) -> list[LogRecord]:
    polled: list[LogRecord] = []
    deadline = time.monotonic() + 30
    while not until(polled):
        polled += source.poll()
        assert time.monotonic() < deadline, polled
    return polled


def settle(source: SourceConsumer, records: list[LogRecord]) -> None:
    source.mark_done({(SourcePartition(r.topic, r.partition), r.offset): BridgeFate.BRIDGED for r in records})


def test_a_group_goes_on_where_it_committed_with_its_counts(kafka: KafkaBroker, topic: str) -> None:
    send(kafka, topic, 10)
    with consumer(kafka, topic) as source:
        records = poll(source, lambda polled: len(polled) == 10)
        assert [r.offset for r in records if r.partition == 1] == [0, 1, 2, 3, 4]
        assert (records[0].key, records[0].topic) == (b"k", topic)
        assert not source.finished
        settle(source, [record for record in records if record.offset < 3])
        assert source.lags() == {SourcePartition(topic, 0): 2, SourcePartition(topic, 1): 2}
        source.commit()
    send(kafka, topic, 2)
    with consumer(kafka, topic) as source:
        again = poll(source, lambda polled: len(polled) == 6)
        assert sorted((r.partition, r.offset) for r in again) == [(p, o) for p in (0, 1) for o in (3, 4, 5)]
        settle(source, again)
        assert source.finished
        source.commit()
        assert {at.fates[BridgeFate.BRIDGED] for at in source.positions.values()} == {6}


def test_what_is_settled_is_committed_when_partitions_go(kafka: KafkaBroker, topic: str) -> None:
    send(kafka, topic, 4)
    with consumer(kafka, topic) as source:
        settle(source, poll(source, lambda polled: len(polled) == 4))
    with consumer(kafka, topic) as source:
        poll(source, lambda _: len(source.positions) == 2)
        assert {at.next_offset for at in source.positions.values()} == {2}


def test_two_members_share_the_partitions(kafka: KafkaBroker, topic: str) -> None:
    send(kafka, topic, 4)
    with consumer(kafka, topic) as first:
        settle(first, poll(first, lambda polled: len(polled) == 4))
        with consumer(kafka, topic) as second:
            deadline = time.monotonic() + 30
            while len(second.positions) != 1 or len(first.positions) != 1:
                assert not first.poll() and not second.poll(), "nothing is read twice"
                assert time.monotonic() < deadline
            assert first.positions.keys() != second.positions.keys()
            assert next(iter(second.positions.values())).fates == Counter({BridgeFate.BRIDGED: 2})
            assert first.finished
            assert second.finished


def test_since_skips_what_is_older_and_only_at_the_first_start(kafka: KafkaBroker, topic: str) -> None:
    send(kafka, topic, 4, timestamp=1_000)
    send(kafka, topic, 4, timestamp=9_000)
    with consumer(kafka, topic, since=5_000) as source:
        assert {r.append_time for r in poll(source, lambda polled: len(polled) == 4)} == {9_000}
    with consumer(kafka, topic, since=99_000) as source:
        poll(source, lambda _: len(source.positions) == 2)
        assert {at.next_offset for at in source.positions.values()} == {4}
        assert source.finished


def test_an_empty_source_is_finished_at_once(kafka: KafkaBroker, topic: str) -> None:
    with consumer(kafka, topic) as source:
        assert poll(source, lambda _: source.finished) == []


def test_a_source_that_lost_the_next_record_is_not_jumped_over(kafka: KafkaBroker, topic: str) -> None:
    send(kafka, topic, 8)
    with consumer(kafka, topic, batch=2) as source:
        settle(source, poll(source, lambda polled: len(polled) >= 2))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    ends = [TopicPartition(topic, partition, 4) for partition in (0, 1)]
    for answer in admin.delete_records(ends).values():
        answer.result()
    with consumer(kafka, topic) as source, pytest.raises(SourceUnreadable, match="no longer holds the next record"):
        poll(source, lambda polled: len(polled) == 8)


def follow(source: SourceConsumer) -> None:
    """Polls until the source refuses; fails when it never does."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        source.poll()


@pytest.mark.parametrize("records", [4, 8, 20])
def test_a_topic_that_was_created_again_is_not_read_on(kafka: KafkaBroker, topic: str, records: int) -> None:
    """The bridge is down meanwhile; its commit outlives the topic only if the broker did not delete it."""
    send(kafka, topic, 8)
    with consumer(kafka, topic) as source:
        settle(source, poll(source, lambda polled: len(polled) == 8))
        source.commit()
        kept = [
            TopicPartition(place.topic, place.partition, at.next_offset, at.text())
            for place, at in source.positions.items()
        ]
    create_again(kafka.bootstrap, topic, partitions=2)
    send(kafka, topic, records)
    commit(kafka, topic, kept)
    with consumer(kafka, topic) as source:
        with pytest.raises(SourceUnreadable, match="was deleted and created again") as refused:
            follow(source)
        assert "--to-earliest" in refused.value.fix
    commit(kafka, topic, [TopicPartition(topic, partition, 0) for partition in (0, 1)])
    with consumer(kafka, topic) as source, capture_logs() as said:
        assert len(poll(source, lambda polled: len(polled) == records)) == records
    assert [line["event"] for line in said].count("offset without a topic id taken over") == 2
    with consumer(kafka, topic) as source, capture_logs() as said:
        poll(source, lambda polled: len(polled) == records)
    assert "offset without a topic id taken over" not in {line["event"] for line in said}


def test_a_topic_created_again_under_a_running_bridge_is_noticed(
    kafka: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the new topic has just as many records as were read, so that no record arrives."""
    monkeypatch.setattr("producers.bridge.source_consumer.COMPARED_SECONDS", 0.5)
    send(kafka, topic, 8)
    with consumer(kafka, topic) as source:
        settle(source, poll(source, lambda polled: len(polled) == 8))
        source.commit()
        create_again(kafka.bootstrap, topic, partitions=2)
        send(kafka, topic, 8)
        with pytest.raises(SourceUnreadable):
            follow(source)
    with consumer(kafka, topic) as source:
        assert len(poll(source, lambda polled: len(polled) == 8)) == 8, "the broker cleared the commit away"


def test_an_old_offset_that_the_topic_does_not_hold_is_not_taken_over(kafka: KafkaBroker, topic: str) -> None:
    send(kafka, topic, 4)
    commit(kafka, topic, [TopicPartition(topic, partition, 50) for partition in (0, 1)])
    for _ in range(2):
        with (
            consumer(kafka, topic) as source,
            pytest.raises(SourceUnreadable, match="offsets 0 to 2, but the next one to read is 50"),
        ):
            follow(source)


def commit(kafka: KafkaBroker, topic: str, offsets: list[TopicPartition]) -> None:
    """Sets the group's offsets, as a tool does it."""
    tool = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": f"{topic}.bridge"})
    tool.commit(offsets=offsets, asynchronous=False)
    tool.close()


def test_a_missing_topic_is_named(kafka: KafkaBroker) -> None:
    with (
        pytest.raises(SourceUnreadable, match=r"source topic nobody\.writes"),
        consumer(kafka, "nobody.writes"),
    ):
        pass


def test_a_source_that_is_gone_is_not_one_of_trimtabs_own_topics(kafka: KafkaBroker, topic: str) -> None:
    with consumer(kafka, topic) as source, pytest.raises(TopicMissing, match=r"nobody\.writes does not exist") as gone:
        source._require_same_topics({"nobody.writes"})
    assert gone.value.fix == "correct `topic` in that [[bridge]] section, or create the topic"


def test_one_that_leaves_takes_over_nothing_that_it_is_given_meanwhile(kafka: KafkaBroker, topic: str) -> None:
    send(kafka, topic, 2)
    with consumer(kafka, topic) as source:
        """Its group gives it the partitions while it leaves, or not: either must end in order."""
    source._take_over(source._consumer, [TopicPartition(topic, 0)])
    assert (source.positions, source.finished) == ({}, False)


def test_a_broker_that_is_not_there_is_named() -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "log_level": "0", "socket.timeout.ms": "1000"}
    with pytest.raises(ComponentUnreachable, match=r"does not answer \(Describe topic"):
        SourceConsumer(ConsumerSettings(nowhere, ("t",), "g"))


def test_partitions_that_the_source_is_given_are_read_without_a_restart(kafka: KafkaBroker, topic: str) -> None:
    client = {"bootstrap.servers": kafka.bootstrap, "topic.metadata.refresh.interval.ms": "500"}
    source = SourceConsumer(ConsumerSettings(client, (topic,), f"{topic}.bridge", wait_seconds=0.2))
    send(kafka, topic, 4)
    settle(source, poll(source, lambda polled: len(polled) == 4))
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for answer in admin.create_partitions([NewPartitions(topic, 3)]).values():
        answer.result()
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(topic, b"new", partition=2)
    assert producer.flush(30) == 0
    (record,) = poll(source, lambda polled: len(polled) == 1)
    assert (record.partition, record.value) == (2, b"new")
    source.close()


def test_a_missing_right_names_the_topic_or_the_group(secured_kafka: SecuredBroker) -> None:
    create_topic(secured_kafka, "secured.shop")
    settings = ConsumerSettings(secured_kafka.client_config("bridge"), ("secured.shop",), "secured.bridge")
    with pytest.raises(RightMissing, match=r"Describe topic secured\.shop"):
        SourceConsumer(settings)
    secured_kafka.grant("bridge", "DESCRIBE", "topic", "secured.shop")
    assert refusal(settings).what == "Kafka user 'bridge' may not Read group secured.bridge"
    secured_kafka.grant("bridge", "READ", "group", "secured.bridge")
    assert refusal(settings).what == "Kafka user 'bridge' may not Read topic secured.shop"
    secured_kafka.revoke_all("bridge")


def create_topic(broker: SecuredBroker, name: str) -> None:
    admin = AdminClient(dict(broker.client_config(ADMIN)))
    for answer in admin.create_topics([NewTopic(name, 1, 1)]).values():
        answer.result()
    producer = Producer(dict(broker.client_config(ADMIN)))
    producer.produce(name, b"one")
    assert producer.flush(20) == 0


def refusal(settings: ConsumerSettings) -> RightMissing:
    source = SourceConsumer(settings)
    try:
        with pytest.raises(RightMissing) as caught:
            follow(source)
        return caught.value
    finally:
        source.close()
