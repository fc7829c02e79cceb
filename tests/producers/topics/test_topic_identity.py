"""On a real broker a topic that was created again has another id; without an id there is an error."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.errors import ComponentUnreachable, RightMissing, SettingError
from producers.topics.topic_identity import (
    IDENTITY,
    BrokerIdentities,
    TopicMissing,
    TopicUnidentified,
    recreated,
    topic_identities,
)
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.components.topic_again import create_again


@pytest.fixture
def client(kafka: KafkaBroker) -> dict[str, str]:
    return {"bootstrap.servers": kafka.bootstrap}


@pytest.fixture
def topic(client: dict[str, str]) -> str:
    name = f"identity-{time.time_ns()}"
    create_again(client["bootstrap.servers"], name, partitions=1)
    return name


def test_a_topic_keeps_its_id_until_it_is_created_again(client: dict[str, str], topic: str) -> None:
    identities = topic_identities(client)
    first = identities.of(topic)
    assert first == identities.of(topic) == topic_identities(client).of(topic)
    assert IDENTITY.fullmatch(first)
    create_again(client["bootstrap.servers"], topic, partitions=1)
    second = identities.of(topic)
    assert second != first
    said = recreated(topic, first, second)
    assert all(word in said for word in (topic, first, second))


def test_a_missing_topic_is_an_error_and_not_created(client: dict[str, str]) -> None:
    identities = topic_identities(client)
    for _ in range(2):
        with pytest.raises(TopicMissing, match=r"topic nobody\.made does not exist \| fix: create the topics with"):
            identities.of("nobody.made")


def test_without_the_right_to_describe_the_error_names_it(secured_kafka: SecuredBroker) -> None:
    admin = AdminClient(dict(secured_kafka.client_config(ADMIN)))
    admin.create_topics([NewTopic("identity.secret", 1, 1)])["identity.secret"].result()
    identities = topic_identities(secured_kafka.client_config("nobody"))
    with pytest.raises(RightMissing, match=r"may not Describe topic identity\.secret") as refused:
        identities.of("identity.secret")
    assert "Describe" in refused.value.fix
    secured_kafka.grant("nobody", "DESCRIBE", "topic", "identity.secret", prefixed=False)
    assert IDENTITY.fullmatch(identities.of("identity.secret"))
    secured_kafka.revoke_all("nobody")


def test_a_broker_that_is_not_there_is_named() -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "log_level": "0"}
    with pytest.raises(ComponentUnreachable, match=r"does not answer \(Describe topic t\)"):
        BrokerIdentities(nowhere, timeout_s=0.5).of("t")


def test_settings_that_the_client_refuses_are_named() -> None:
    with pytest.raises(SettingError):
        topic_identities({"bootstrap.servers": "localhost:1", "security.protocol": "nonsense"}).of("t")


def test_a_cluster_whose_topics_have_no_ids_is_refused(client: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    class NoId:
        topic_id = "AAAAAAAAAAAAAAAAAAAAAA"

        def result(self) -> NoId:
            return self

    monkeypatch.setattr(AdminClient, "describe_topics", lambda *_, **__: {"t": NoId()})
    with pytest.raises(TopicUnidentified, match="gives its topics no id") as refused:
        topic_identities(client).of("t")
    assert "TRIMTAB_KAFKA_IDENTITY" in refused.value.fix


def test_a_declared_identity_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> None:
        raise KafkaException("somebody was asked")

    monkeypatch.setattr(AdminClient, "__init__", asked)
    identities = topic_identities({"bootstrap.servers": "127.0.0.1:9"}, "run-1")
    assert identities.of("a") == identities.of("b") == "run-1"


@given(st.text(max_size=80))
def test_a_declared_identity_fits_into_any_text_or_is_refused(text: str) -> None:
    if IDENTITY.fullmatch(text):
        assert topic_identities({}, text).of("t") == text
    else:
        with pytest.raises(SettingError, match="TRIMTAB_KAFKA_IDENTITY"):
            topic_identities({}, text)
