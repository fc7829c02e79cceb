"""The source in memory, and the Kafka one on librdkafka's own cluster."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from event_schemas.errors import ComponentUnreachable, RightMissing
from event_schemas.log_record import LogRecord
from learner.examples.example_source import ExampleSource, KafkaExampleSource, MemoryExampleSource
from learner.examples.learner_errors import ExamplesLost
from producers.topics.topic_admin import TopicError
from producers.topics.topic_identity import DeclaredIdentity
from tests.components.kafka_broker import KafkaBroker
from tests.components.secured_broker import ADMIN, SecuredBroker

TOPIC = "t.examples"
COUNTS = {0: 5, 1: 3}


def in_memory() -> ExampleSource:
    return MemoryExampleSource(
        [LogRecord(TOPIC, p, o, 0, b"k", f"{p}/{o}".encode()) for p, count in COUNTS.items() for o in range(count)]
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    producer = Producer({"test.mock.num.brokers": 1})
    address = next(iter(producer.list_topics(timeout=10).brokers.values()))
    for partition, count in COUNTS.items():
        for offset in range(count):
            producer.produce(TOPIC, f"{partition}/{offset}".encode(), b"k", partition)
    assert producer.flush(10) == 0
    yield f"{address.host}:{address.port}"
    del producer


@pytest.fixture(params=["memory", "kafka"])
def source(request: pytest.FixtureRequest) -> Iterator[ExampleSource]:
    if request.param == "memory":
        made = in_memory()
    else:
        made = KafkaExampleSource({"bootstrap.servers": request.getfixturevalue("cluster")}, TOPIC)
    yield made
    made.close()


def read(source: ExampleSource, count: int) -> list[LogRecord]:
    records: list[LogRecord] = []
    deadline = time.monotonic() + 20
    while len(records) < count and time.monotonic() < deadline:
        records += source.poll(100, 0.2)
    return records


def test_reads_every_partition_from_its_offset(source: ExampleSource) -> None:
    source.start({0: 3})
    values = sorted(str(record.value, "utf-8") for record in read(source, 5) if record.value)
    assert values == ["0/3", "0/4", "1/0", "1/1", "1/2"]
    assert {p: o for p, o in source.positions().items() if o} == COUNTS
    assert {p: o for p, o in source.ends().items() if o} == COUNTS


def test_starting_again_repositions(source: ExampleSource) -> None:
    source.start({})
    assert len(read(source, 8)) == 8
    source.start({0: 5, 1: 2})
    assert [record.value for record in read(source, 1)] == [b"1/2"]


def test_an_offset_the_log_does_not_hold_is_an_error(source: ExampleSource) -> None:
    with pytest.raises(ExamplesLost, match="the next offset is 9"):
        source.start({0: 9})


def test_more_records_come_while_reading() -> None:
    source = MemoryExampleSource([])
    source.start({})
    assert source.poll(10, 0.0) == []
    source.extend([LogRecord(TOPIC, 0, 0, 0, b"k", b"v")])
    assert len(source.poll(10, 0.0)) == 1


def test_it_says_which_topic_it_reads() -> None:
    source = MemoryExampleSource([], "first")
    source.create_again([LogRecord(TOPIC, 0, 0, 0, b"k", b"v")], "second")
    assert (source.topic_id(), source.ends()) == ("second", {0: 1})
    declared = KafkaExampleSource({"bootstrap.servers": "127.0.0.1:1"}, TOPIC, identities=DeclaredIdentity("run-1"))
    assert declared.topic_id() == "run-1"
    declared.close()


def test_a_right_that_is_missing_is_named(secured_kafka: SecuredBroker) -> None:
    """The Describe right shows where the topic ends, but does not allow reading it."""
    topic = "learner.denied"
    admin = AdminClient(dict(secured_kafka.client_config(ADMIN)))
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result()
    source = KafkaExampleSource(secured_kafka.client_config("nobody"), topic)
    with pytest.raises(RightMissing, match=f"may not Describe topic {topic}"):
        source.topic_id()
    secured_kafka.grant("nobody", "DESCRIBE", "topic", topic, prefixed=False)
    source.start({})
    with pytest.raises(RightMissing, match="may not Read topic"):
        read(source, 1)
    source.close()
    secured_kafka.revoke_all("nobody")


def test_a_broker_that_does_not_answer_is_named() -> None:
    source = KafkaExampleSource({"bootstrap.servers": "127.0.0.1:1"}, TOPIC, metadata_timeout_s=0.5)
    with pytest.raises(ComponentUnreachable, match=TOPIC):
        source.start({})
    source.close()


def test_an_absent_topic_is_called_that(kafka: KafkaBroker) -> None:
    """An embedded broker declares the identity of topics, so that nothing else would notice."""
    declared = DeclaredIdentity("run-1")
    source = KafkaExampleSource({"bootstrap.servers": kafka.bootstrap}, "absent.examples", identities=declared)
    for ask in (lambda: source.start({}), source.ends):
        with pytest.raises(TopicError, match=r"topic absent.examples does not exist") as caught:
            ask()
        assert "trimtab topics create" in caught.value.fix
    source.close()
