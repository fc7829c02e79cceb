"""Topics on a real broker: created as the table says, never changed, and reported with a fix when missing."""

from __future__ import annotations

import time
import uuid

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but re-exported without __all__
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from event_schemas.errors import ComponentUnreachable, SettingError
from event_schemas.topics import TOPICS, topic_name
from producers.topics.topic_admin import TopicError, absent_topics, create_topics, partitions_of, touch_topics
from tests.components.embedded_log import embedded_broker, read_all
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker


@pytest.fixture
def prefix() -> str:
    return f"admin-{uuid.uuid4().hex[:8]}."


@pytest.fixture
def client(kafka: KafkaBroker) -> dict[str, str]:
    return {"bootstrap.servers": kafka.bootstrap}


def make_foreign_topic(client: dict[str, str], name: str, partitions: int) -> None:
    """A topic created by others, with different settings; returns when the broker lists it."""
    admin = AdminClient(dict(client))
    admin.create_topics([NewTopic(name, partitions, 1, config={"retention.ms": "1000"})])[name].result()
    while name not in admin.list_topics(timeout=10).topics:
        time.sleep(0.05)


def test_every_topic_of_the_table_is_made_with_its_settings(client: dict[str, str], prefix: str) -> None:
    reports = create_topics(client, prefix, partitions=3, replication=1)
    assert [report.name for report in reports] == [topic_name(prefix, topic) for topic in TOPICS]
    assert all(report.created and report.partitions == 3 and not report.differing for report in reports)
    admin = AdminClient(dict(client))
    resources = [ConfigResource(ResourceType.TOPIC, topic_name(prefix, topic)) for topic in TOPICS]
    found = {resource.name: answer.result() for resource, answer in admin.describe_configs(resources).items()}
    for topic in TOPICS:
        settings = found[topic_name(prefix, topic)]
        assert {key: settings[key].value for key in topic.config} == dict(topic.config)


def test_records_carry_the_time_they_were_appended(client: dict[str, str], prefix: str) -> None:
    create_topics(client, prefix, partitions=1, replication=1)
    producer = Producer(client)
    producer.produce(f"{prefix}events", b"old", timestamp=1_574_553_600_000)
    producer.flush(10)
    (message,) = read_all(client["bootstrap.servers"], f"{prefix}events")
    assert abs(message.timestamp()[1] - time.time() * 1_000) < 60_000


def test_a_second_run_changes_nothing(client: dict[str, str], prefix: str) -> None:
    create_topics(client, prefix, partitions=2, replication=1)
    again = create_topics(client, prefix, partitions=2, replication=1)
    assert not any(report.created or report.differing for report in again)


def test_differences_are_reported(client: dict[str, str], prefix: str) -> None:
    make_foreign_topic(client, f"{prefix}events", 2)
    reports = {report.name: report for report in create_topics(client, prefix, partitions=2, replication=1)}
    differing = reports[f"{prefix}events"].differing
    assert not reports[f"{prefix}events"].created
    assert differing["retention.ms"][1] == "1000"
    assert differing["message.timestamp.type"] == ("LogAppendTime", "CreateTime")
    assert reports[f"{prefix}examples"].created


def test_unequal_partition_counts_are_refused(client: dict[str, str], prefix: str) -> None:
    make_foreign_topic(client, f"{prefix}examples", 2)
    with pytest.raises(TopicError, match="partition counts differ"):
        create_topics(client, prefix, partitions=5, replication=1)


def test_a_refusal_names_the_topic(client: dict[str, str], prefix: str) -> None:
    with pytest.raises(TopicError, match=f"topic {prefix}[a-z-]+ cannot be created") as caught:
        create_topics(client, prefix, partitions=1, replication=7)
    assert "--replication" in caught.value.fix


def test_partitions_are_counted_and_missing_topics_named(client: dict[str, str], prefix: str) -> None:
    create_topics(client, prefix, partitions=3, replication=1)
    assert partitions_of(client, f"{prefix}events") == 3
    with pytest.raises(TopicError, match="does not exist") as caught:
        partitions_of(client, "no-such-topic")
    assert "trimtab topics create" in caught.value.fix


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a"], "topic a does not exist"),
        (["a", "b"], "topic a does not exist, nor does b"),
        (["a", "b", "c"], "topic a does not exist, nor do b, c"),
    ],
)
def test_absent_topics_are_one_sentence(names: list[str], words: str) -> None:
    assert absent_topics(names).what == words


def test_touching_makes_topics_appear_on_the_embedded_broker(prefix: str) -> None:
    with embedded_broker() as bootstrap:
        embedded = {"bootstrap.servers": bootstrap}
        with pytest.raises(TopicError):
            partitions_of(embedded, f"{prefix}events")
        touch_topics(embedded, prefix)
        assert [partitions_of(embedded, topic_name(prefix, topic)) for topic in TOPICS] == [4] * len(TOPICS)


def test_a_broker_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.topics.topic_admin.ANSWER_SECONDS", 0.3)
    with pytest.raises(ComponentUnreachable, match=r"does not answer .*Connection refused") as caught:
        partitions_of({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, "events")
    assert "TRIMTAB_KAFKA_BOOTSTRAP" in caught.value.fix


def test_settings_that_the_client_refuses_are_named() -> None:
    with pytest.raises(SettingError, match=r"security\.protocol") as caught:
        partitions_of({"bootstrap.servers": "127.0.0.1:1", "security.protocol": "FOO"}, "events")
    assert "TRIMTAB_KAFKA_" in caught.value.fix
