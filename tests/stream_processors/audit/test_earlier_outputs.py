"""Outputs without a commit tell whether the events topic is the one that they were made of."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from event_schemas import records as r
from producers.topics.topic_admin import create_topics
from producers.topics.topic_identity import topic_identities
from stream_processors.audit.earlier_outputs import require_same_log
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.partition.commit_position import CommitPosition, LogReplaced
from tests.components.kafka_broker import KafkaBroker
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.components.topic_again import create_again
from tests.conftest import TopicFactory
from tests.record_samples import DEAD_LETTER, EXAMPLE
from tests.stream_processors.event_log import CODEC

PARTITION = 1


class Desk:
    """The join's topics, and what a join would have written there."""

    def __init__(self, client: dict[str, str], prefix: str) -> None:
        self.client = client
        self.prefix = prefix

    @property
    def topics(self) -> JoinTopics:
        return JoinTopics.under(self.client, self.prefix, topic_identities(self.client))

    def write(self, name: str, *records: tuple[bytes | None, bytes]) -> None:
        producer = Producer(self.client)
        for key, value in records:
            producer.produce(f"{self.prefix}{name}", value, key, PARTITION)
        assert producer.flush(20) == 0

    def events(self, *keys: str) -> None:
        self.write("events", *((key.encode(), b"event") for key in keys))

    def example(self, key: str, offset: int) -> None:
        outcome = {**EXAMPLE["outcome"], "partition": PARTITION, "offset": offset}
        self.write("examples", (key.encode(), CODEC.encode(r.EXAMPLE, {**EXAMPLE, "outcome": outcome})))

    def letter(self, key: bytes | None, offset: int, topic: str | None = None) -> None:
        place = {"topic": topic or f"{self.prefix}events", "partition": PARTITION, "offset": offset, "key": key}
        self.write("dead-letters", (key, CODEC.encode(r.DEAD_LETTER, {**DEAD_LETTER, **place})))

    def commit(self, topic_id: str | None) -> None:
        position = CommitPosition(3, 2, 1, None, 0, 1_000, topic_id)
        consumer = Consumer({**self.client, "group.id": f"{self.prefix}join"})
        place = TopicPartition(f"{self.prefix}events", PARTITION, 1, metadata=position.encode())
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()

    def check(self) -> None:
        require_same_log(self.topics, CODEC)


@pytest.fixture
def desk(kafka: KafkaBroker, topics: TopicFactory) -> Desk:
    desk = Desk({"bootstrap.servers": kafka.bootstrap}, topics(2))
    desk.events("a", "b", "c")
    desk.write("events", (None, b"without a key"))
    return desk


def test_outputs_of_this_log_are_no_reason_to_stop(desk: Desk) -> None:
    desk.check()
    desk.example("a", 0)
    desk.example("c", 2)
    desk.letter(b"b", 1)
    desk.letter(None, 3)
    desk.letter(b"x", 900, topic="shop")
    desk.write("examples", (b"z", b"no example"))
    desk.check()


@pytest.mark.parametrize(("key", "offset"), [("b", 0), ("a", 4), ("a", 10**9)], ids=["another", "at the end", "beyond"])
@pytest.mark.parametrize("kind", ["example", "letter"])
def test_an_output_of_another_log_is_refused(desk: Desk, kind: str, key: str, offset: int) -> None:
    if kind == "example":
        desk.example(key, offset)
    else:
        desk.letter(key.encode(), offset)
    with pytest.raises(LogReplaced, match=f"with key '{key}' at offset {offset} of {desk.prefix}events") as caught:
        desk.check()
    assert "new topic prefix" in caught.value.fix
    desk.commit(desk.topics.events_id)
    desk.check()


def test_a_commit_of_an_older_version_is_believed_only_where_the_outputs_fit(desk: Desk) -> None:
    desk.commit(None)
    desk.check()
    desk.example("c", 0)
    with pytest.raises(LogReplaced):
        desk.check()


def test_one_stranger_among_outputs_that_fit_stops_nobody(desk: Desk) -> None:
    desk.example("a", 0)
    desk.letter(b"x", 700)
    desk.check()


def test_what_retention_took_may_have_been_anything(desk: Desk) -> None:
    desk.example("gone", 0)
    admin = AdminClient(dict(desk.client))
    for answer in admin.delete_records([TopicPartition(f"{desk.prefix}events", PARTITION, 2)]).values():
        answer.result()
    desk.check()


def test_a_topic_created_again_is_told_by_its_outputs(desk: Desk, kafka: KafkaBroker) -> None:
    """Kafka drops the commits together with the topic."""
    desk.commit(desk.topics.events_id)
    desk.example("c", 2)
    create_again(kafka.bootstrap, f"{desk.prefix}events", 2)
    desk.events("d", "e", "f", "g")
    with pytest.raises(LogReplaced, match="deleted and created again"):
        desk.check()
    for name in ("examples", "dead-letters"):
        create_again(kafka.bootstrap, f"{desk.prefix}{name}", 2)
    desk.check()


def test_without_the_right_to_read_outputs_the_log_says_so(secured_kafka: SecuredBroker) -> None:
    create_topics(secured_kafka.client_config(ADMIN), "outputs.", 2, 1)
    Desk(secured_kafka.client_config(ADMIN), "outputs.").example("a", 700)
    secured_kafka.grant("join", "DESCRIBE", "topic", "outputs.")
    secured_kafka.grant("join", "READ", "topic", "outputs.events")
    secured_kafka.grant("join", "READ", "group", "outputs.")
    restricted = Desk(secured_kafka.client_config("join"), "outputs.")
    with capture_logs() as lines:
        restricted.check()
    [told] = [line for line in lines if line["event"] == "outputs are not compared with the log"]
    assert "--topic outputs.examples" in told["fix"]
    secured_kafka.grant("join", "READ", "topic", "outputs.")
    with pytest.raises(LogReplaced):
        restricted.check()
    secured_kafka.revoke_all("join")
