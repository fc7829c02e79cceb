"""The Faust settings that the guarantees rest on, and the translation of connection settings."""

from __future__ import annotations

import ssl
from pathlib import Path

import faust
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from stream_processors.rule.join_rule import JoinRule
from stream_processors.worker.batch_transport import BatchTransport
from stream_processors.worker.faust_app import ConsumeOnly, JoinApp, credentials
from stream_processors.worker.owned_partitions import OwnedPartitions
from stream_processors.worker.worker_settings import WorkerSettings


@pytest.fixture
def app(experiment_file: Path) -> JoinApp:
    rule = JoinRule.from_experiment(load_experiment(experiment_file))
    settings = WorkerSettings(
        client_config={"bootstrap.servers": "one:9092, two:9093"},
        events="t.events",
        examples="t.examples",
        dead_letters="t.dead-letters",
        group="t.join",
        live=False,
        producer_delay_ms=0,
    )
    return JoinApp(settings, OwnedPartitions(rule, Codec(Registry.bundled()), "topic", lambda: 4))


def test_settings_the_guarantees_rest_on(app: JoinApp) -> None:
    conf = app.conf
    assert conf.id == "t.join"
    assert conf.consumer_auto_offset_reset == "none"
    assert str(conf.processing_guarantee) == "ProcessingGuarantee.AT_LEAST_ONCE"
    assert (conf.stream_wait_empty, conf.table_standby_replicas) == (False, 1)
    assert (conf.topic_allow_declare, conf.topic_disable_leader) == (False, True)
    assert conf.broker_heartbeat_interval <= conf.broker_session_timeout / 3
    assert [f"{url.host}:{url.port}" for url in conf.broker_consumer] == ["one:9092", "two:9093"]


def test_neither_a_web_server_nor_a_producer_nor_directories(app: JoinApp) -> None:
    strategy = app.boot_strategy
    assert isinstance(strategy, ConsumeOnly)
    assert list(strategy.web_server()) == []
    assert list(strategy.kafka_producer()) == []
    app._create_directories()
    assert not Path(app.conf.datadir).exists()


def test_the_transport_is_ours(app: JoinApp) -> None:
    assert isinstance(app.transport, BatchTransport)


def test_credentials_follow_librdkafkas_names() -> None:
    assert credentials({}) is None
    assert credentials({"security.protocol": "PLAINTEXT"}) is None
    tls = credentials({"security.protocol": "SSL"})
    assert isinstance(tls, faust.SSLCredentials)
    assert isinstance(tls.context, ssl.SSLContext)
    login = {"sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "join", "sasl.password": "secret"}
    plain = credentials({"security.protocol": "SASL_PLAINTEXT", **login})
    assert isinstance(plain, faust.SASLCredentials)
    assert (plain.username, plain.password, plain.ssl_context) == ("join", "secret", None)
    assert plain.mechanism.value == "SCRAM-SHA-256"
    assert plain.protocol.value == "SASL_PLAINTEXT"
    both = credentials({"security.protocol": "sasl_ssl", **login})
    assert isinstance(both, faust.SASLCredentials)
    assert both.protocol.value == "SASL_SSL"
