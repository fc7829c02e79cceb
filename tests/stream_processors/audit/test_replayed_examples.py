"""Replayed examples: marked and confirmed when written, joined again when judged."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from event_schemas import records as r
from event_schemas.decision_key import DecisionKey
from producers.topics.topic_identity import topic_identities
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.log_reader import LogRange
from stream_processors.audit.offline_join import OfflineExample, OfflineJoin
from stream_processors.audit.replayed_examples import (
    MARK,
    TOPIC_MARK,
    MarkedExamples,
    ReplayedExamples,
    ReplayUnconfirmed,
)
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory
from tests.record_samples import EXAMPLE
from tests.stream_processors.event_log import CODEC, EventLog, small_rule


def example(value: bytes = b"value", partition: int = 0, request_id: str = "a") -> OfflineExample:
    return OfflineExample(DecisionKey(request_id, 100), request_id.encode(), value, partition, 0)


def test_an_example_is_marked_and_confirmed(kafka: KafkaBroker, topics: TopicFactory) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    under = JoinTopics.under(client, topics(2), topic_identities(client))
    with ReplayedExamples(client, under.examples.topic, under.events_id) as examples:
        examples.write(example(partition=1), 17)
        assert examples.confirm() == {}
        examples.write(example(b"x" * 9_000_000, request_id="b"), 17)
        assert list(examples.confirm()) == [DecisionKey("b", 100)]
        assert examples.written == 1
    ((record, headers),) = under.examples.read_with_headers({1: LogRange(0, 1)})
    assert (record.key, record.value, headers) == (b"a", b"value", {MARK: b"17", TOPIC_MARK: under.events_id.encode()})


def test_a_partition_that_does_not_exist_is_an_error_with_a_fix(kafka: KafkaBroker, topics: TopicFactory) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    with ReplayedExamples(client, topics(1) + "examples", "id") as examples:
        with pytest.raises(ReplayUnconfirmed) as caught:
            examples.write(example(partition=5), 1)
            examples.confirm()
        assert "run the command again" in caught.value.fix


def test_a_broker_that_is_away_is_an_error() -> None:
    client = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "delivery.timeout.ms": "1000"}
    examples = ReplayedExamples(client, "examples", "id", delivery_seconds=1.0)
    examples.write(example(), 1)
    with pytest.raises(ReplayUnconfirmed, match="examples"):
        examples.confirm()


def test_only_what_was_known_at_the_mark_is_joined_again(kafka: KafkaBroker, topics: TopicFactory) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    under = JoinTopics.under(client, topics(1), topic_identities(client))
    log = EventLog()
    log.decision("a", 100)
    log.request("b", 100)
    log.decision("a", 900)
    known = len(log.records)
    log.engagement("a", 110)
    producer = Producer(client)
    for record in log.records:
        producer.produce(under.events.topic, record.value, record.key, 0)
    marks: list[tuple[str, int, list[tuple[str, str | bytes | None]]]] = [
        ("a", 100, [(MARK, b"%d" % known)]),
        ("a", 900, [(MARK, b"%d" % known), (TOPIC_MARK, under.events_id.encode())]),
        ("d", 100, [(MARK, b"4"), (TOPIC_MARK, b"another")]),
        ("b", 100, [(MARK, b"4")]),
        ("c", 100, []),
        ("c", 100, [(MARK, b"9")]),
    ]
    for request_id, time, headers in marks:
        producer.produce(under.examples.topic, framed(request_id, time), request_id.encode(), 0, headers=headers)
    producer.produce(under.examples.topic, b"no example", b"e", 0, headers=[(MARK, b"9")])
    assert producer.flush(20) == 0
    marked, join = MarkedExamples(CODEC, under.events_id), OfflineJoin(small_rule(), CODEC)
    assert len(list(marked.noting(under.examples.read_with_headers(under.examples.ranges())))) == 7
    again = marked.joined_again(under, join)
    [first, second] = [join.join(decision) for decision in join.decisions([*log.records[:3], *log.records[4:7]])]
    assert isinstance(first, OfflineExample) and isinstance(second, OfflineExample)
    assert again == {
        DecisionKey("a", 100): first.value,
        DecisionKey("a", 900): second.value,
        DecisionKey("b", 100): None,
    }


def framed(request_id: str, time: int) -> bytes:
    """Any Example of that decision."""
    return CODEC.encode(
        r.EXAMPLE, {**EXAMPLE, "request": {**EXAMPLE["request"], "request_id": request_id, "event_time": time}}
    )
