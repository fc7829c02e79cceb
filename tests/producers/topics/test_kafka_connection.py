"""Why a broker gives no answer, on a real broker that requires certificates, passwords and rights."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from event_schemas.errors import (
    CertificateRefused,
    ComponentUnreachable,
    CredentialsRefused,
    RightMissing,
    SettingError,
    TrimtabError,
)
from producers.topics.kafka_connection import (
    Attempt,
    ConnectionFaults,
    creating_client,
    explained,
    right_missing,
    unwritten,
)
from producers.topics.kafka_refusals import TOPIC_ABSENT
from producers.topics.topic_admin import TopicAdmin, TopicError, create_topics, partitions_of
from producers.topics.topic_identity import BrokerIdentities
from stream_processors.audit.log_reader import LogReader
from tests.components.certificates import write_certificates
from tests.components.free_port import free_port
from tests.components.secured_broker import ADMIN, SecuredBroker

READ = Attempt("Read", "topic", "events")


def fault_of(client_config: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> TrimtabError:
    monkeypatch.setattr("producers.topics.topic_admin.ANSWER_SECONDS", 2.0)
    with pytest.raises(TrimtabError) as caught:
        partitions_of(client_config, "secured.events")
    return caught.value


def test_each_reason_is_told_apart(
    secured_kafka: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = secured_kafka.client_config("nobody")
    stranger = write_certificates(tmp_path, "stranger").authority
    plain = {"bootstrap.servers": secured_kafka.bootstrap, "log_level": "0"}
    away = {**good, "bootstrap.servers": f"127.0.0.1:{free_port()}"}
    expected: list[tuple[dict[str, str], type[TrimtabError], str]] = [
        ({**good, "ssl.ca.location": str(stranger)}, CertificateRefused, "certificate verify failed"),
        ({**good, "sasl.password": "wrong"}, CredentialsRefused, "refuses user 'nobody'"),
        ({**good, "sasl.mechanism": "PLAIN"}, CredentialsRefused, "Unsupported SASL mechanism"),
        (plain, ComponentUnreachable, "closes the connections of this client, which speaks PLAINTEXT"),
        (away, ComponentUnreachable, "Connection refused"),
        ({**good, "bootstrap.servers": "no.such.host.invalid:9092"}, ComponentUnreachable, "resolve"),
    ]
    for client_config, kind, words in expected:
        fault = fault_of(client_config, monkeypatch)
        assert type(fault) is kind and words in fault.what, fault
        assert "secret" not in str(fault)


def test_a_missing_right_names_the_operation_and_the_resource(
    secured_kafka: SecuredBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_topics(secured_kafka.client_config(ADMIN), "secured.", 1, 1)
    nobody = secured_kafka.client_config("nobody")
    fault = fault_of(nobody, monkeypatch)
    assert isinstance(fault, RightMissing)
    assert fault.what == "Kafka user 'nobody' may not Describe topic secured.events"
    assert "--operation Describe --topic secured.events" in fault.fix
    with pytest.raises(RightMissing, match=r"Describe topic secured\.events"):
        BrokerIdentities(nobody).of("secured.events")
    with pytest.raises(RightMissing, match=r"Create topic secured2\.events"):
        create_topics(nobody, "secured2.", 1, 1)
    secured_kafka.grant("nobody", "DESCRIBE", "topic", "secured.")
    reader = LogReader(nobody, "secured.events")
    producer = Producer(dict(secured_kafka.client_config(ADMIN)))
    producer.produce("secured.events", b"one")
    assert producer.flush(20) == 0
    with pytest.raises(RightMissing, match=r"Read topic secured\.events"):
        list(reader.read_all())
    with pytest.raises(RightMissing, match=r"Describe group secured\.join"):
        reader.committed("secured.join")
    with pytest.raises(RightMissing, match=r"DescribeConfigs topic secured\.events"):
        create_topics(nobody, "secured.", 1, 1)
    with pytest.raises(TopicError, match=r"secured\.none does not exist"):
        partitions_of(secured_kafka.client_config(ADMIN), "secured.none")
    secured_kafka.revoke_all("nobody")


@pytest.mark.parametrize(
    "setting", [{"security.protocol": "TLS"}, {"no.such.setting": "1"}, {"ssl.ca.location": "/no/such/file"}]
)
def test_settings_that_no_client_takes_are_an_error(setting: dict[str, str]) -> None:
    with pytest.raises(SettingError, match="the Kafka client refuses its settings"):
        TopicAdmin.connect({"bootstrap.servers": "127.0.0.1:1", "security.protocol": "SSL", **setting})


def test_a_bug_is_no_setting() -> None:
    with pytest.raises(ZeroDivisionError), creating_client():
        raise ZeroDivisionError
    with pytest.raises(SettingError, match="bad port"), creating_client():
        raise KafkaException(KafkaError(KafkaError._INVALID_ARG, "bad port"))


def test_a_group_is_refused_before_the_topic_it_reads() -> None:
    client = {"sasl.username": "u", "group.id": "g"}
    fault = explained(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), client, READ)
    assert fault.what == "Kafka user 'u' may not Read group g"
    noted = ConnectionFaults()
    noted(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    assert isinstance(explained(KafkaError(KafkaError._TIMED_OUT), client, READ, noted), RightMissing)
    assert "--cluster" in right_missing(client, Attempt("IdempotentWrite", "cluster", "kafka")).fix


@pytest.mark.parametrize(
    ("code", "text", "refused"),
    [
        (KafkaError._AUTHENTICATION, "bad password", True),
        (KafkaError.SASL_AUTHENTICATION_FAILED, "bad password", True),
        (KafkaError._SSL, "certificate verify failed", True),
        (KafkaError._SSL, "SSL handshake failed: Disconnected", False),
        (KafkaError._TRANSPORT, "Connection refused", False),
    ],
)
def test_waiting_is_of_no_use_where_the_client_is_refused(code: int, text: str, refused: bool) -> None:
    faults = ConnectionFaults()
    assert not faults.is_refused
    faults(KafkaError(code, text))
    assert faults.is_refused == refused


@pytest.mark.parametrize("code", sorted(TOPIC_ABSENT))
def test_a_record_for_an_absent_topic_says_how_to_make_it(code: int) -> None:
    assert unwritten(KafkaError(code), {}, "t.examples", "start again") == (
        "topic t.examples does not exist",
        "create the topics with `trimtab topics create`",
    )
    assert unwritten(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), {}, "t.examples", "start again")[1] == "start again"
