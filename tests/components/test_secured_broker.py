"""The secured broker refuses what it should and allows what was granted; other tests rely on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from tests.components.certificates import write_certificates
from tests.components.secured_broker import SecuredBroker


def _create(client_config: dict[str, str], topic: str) -> None:
    admin = AdminClient(dict(client_config))  # its answers are lost when it is gone
    admin.create_topics([NewTopic(topic, 1, 1)], request_timeout=10.0)[topic].result()


def test_a_right_is_refused_until_it_is_granted_and_again_after_it_was_taken(secured_kafka: SecuredBroker) -> None:
    client = secured_kafka.client_config("nobody")
    with pytest.raises(KafkaException) as refused:
        _create(client, "rights.one")
    assert refused.value.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    secured_kafka.grant("nobody", "CREATE,DESCRIBE", "topic", "rights.")
    _create(client, "rights.two")
    secured_kafka.revoke_all("nobody")
    with pytest.raises(KafkaException):
        _create(client, "rights.three")


def test_a_wrong_password_and_a_foreign_authority_reach_nothing(secured_kafka: SecuredBroker, tmp_path: Path) -> None:
    other = write_certificates(tmp_path, "stranger").authority
    client = secured_kafka.client_config("nobody")
    for change in ({"sasl.password": "wrong"}, {"ssl.ca.location": str(other)}):
        with pytest.raises(KafkaException):
            AdminClient({**client, **change}).list_topics(timeout=3.0)
