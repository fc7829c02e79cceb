"""The client raises nothing: refusals, and the fault that ends it, are return values."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message

from event_schemas.errors import SettingError
from producers.delivery.kafka_client import ClientSetting, KafkaClient
from producers.delivery.outgoing_event import OutgoingEvent
from tests.components.embedded_log import embedded_broker, read_all
from tests.components.forking import in_child, outcome_of
from tests.components.free_port import free_port
from tests.components.secured_broker import SecuredBroker
from tests.producers.spool_events import events


@pytest.fixture
def broker() -> Iterator[str]:
    with embedded_broker() as bootstrap:
        yield bootstrap


def no_report(_: KafkaError | None, message: Message) -> None:
    raise AssertionError("a refused event has no report")


def polled(client: KafkaClient, until: Callable[[], bool]) -> None:
    for _ in range(300):
        client.poll(0.1)
        if until():
            return
    raise AssertionError("did not happen in 30 s")


def test_one_and_many_are_queued_and_reported(broker: str) -> None:
    client, faults = KafkaClient({"bootstrap.servers": broker}, look_seconds=0.1), []
    one, *many = events(4)
    assert client.produce(one, lambda fault, _: faults.append(fault), [("mark", b"7")]) is None
    messages = [{"key": event.key, "value": event.value} for event in many]
    assert client.produce_batch("events", messages, 0, lambda fault, _: faults.append(fault)) == {}
    assert client.flush(30) == 0
    assert faults == [None] * 4
    polled(client, lambda: client.registered)
    client.release()
    found = {message.value(): message.headers() for message in read_all(broker, "events")}
    assert found == {event.value: [("mark", b"7")] if event is one else None for event in (one, *many)}


def test_a_cluster_says_which_it_is_when_it_answers(broker: str) -> None:
    with embedded_broker() as other:
        clients = [KafkaClient({"bootstrap.servers": address}) for address in (broker, broker, other)]
        one, same, another = (client.cluster("events", 10.0) for client in clients)
        assert one == same != another
        assert one
        nowhere = KafkaClient({"bootstrap.servers": f"127.0.0.1:{free_port()}"})
        assert nowhere.cluster("events", 0.1) is None
        assert nowhere.cluster("nul\0", 0.1) is None
        for client in (*clients, nowhere):
            client.release()
            assert client.cluster("events", 0.1) is None


@pytest.mark.parametrize("odd", [{"topic": "nul\0"}, {"topic": "\ud800"}, {"partition": 2**40}])
def test_what_c_cannot_take_is_returned_too(broker: str, odd: dict[str, Any]) -> None:
    client = KafkaClient({"bootstrap.servers": broker})
    fault = client.produce(replace(events(1)[0], **odd), no_report)
    assert fault is not None
    client.release()


def test_what_is_refused_at_once_is_returned() -> None:
    settings: dict[str, ClientSetting] = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "message.max.bytes": 2_000}
    client = KafkaClient({**settings, "queue.buffering.max.messages": 2})
    too_large = OutgoingEvent("events", b"k", b"x" * 5_000, "Request")
    fault = client.produce(too_large, no_report)
    assert fault is not None
    assert fault.code() == KafkaError.MSG_SIZE_TOO_LARGE
    messages = [{"value": value} for value in (b"1", b"x" * 5_000, b"2", b"3")]
    refused = client.produce_batch("events", messages, 0, lambda *_: None)
    assert {place: fault.code() for place, fault in refused.items()} == {
        1: KafkaError.MSG_SIZE_TOO_LARGE,
        3: KafkaError._QUEUE_FULL,
    }
    full = client.produce(events(1)[0], no_report)
    assert full is not None
    assert full.code() == KafkaError._QUEUE_FULL
    client.give_up()
    assert len(client) == 0
    client.release()
    gone = client.produce(events(1)[0], no_report)
    assert gone is not None
    assert client.produce_batch("events", messages, 0, no_report).keys() == {0, 1, 2, 3}
    assert client.flush(1.0) == 0


def test_unusable_settings_are_told() -> None:
    with pytest.raises(SettingError, match="Invalid value"):
        KafkaClient({"bootstrap.servers": "127.0.0.1:1", "linger.ms": "soon"})


def test_a_missing_right_ends_a_client_quietly(secured_kafka: SecuredBroker, caplog: pytest.LogCaptureFixture) -> None:
    """librdkafka raises it from `poll`, and logs a line that would come again with every new client."""
    client = KafkaClient(secured_kafka.client_config("nobody"))
    with caplog.at_level(logging.INFO, "trimtab.producers"):
        polled(client, lambda: client.fault is not None)
    assert client.fault is not None
    assert client.fault.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
    assert not [line for line in caplog.records if "FATAL" in line.getMessage()]
    refused = client.produce(events(1)[0], no_report)
    assert refused is not None
    assert client.flush(1.0) == 0
    client.give_up()
    client.release()


def inherit() -> list[bool]:
    with embedded_broker() as broker:
        client = KafkaClient({"bootstrap.servers": broker, "linger.ms": 1_000})
        assert client.produce(events(1)[0], lambda *_: None) is None

        def child() -> list[bool]:
            refused = client.produce(events(1)[0], no_report) is not None
            client.give_up()
            client.release()
            return [refused, client.fault is not None, len(client) == 0]

        told = in_child(child)
        return [*told, len(client) == 1, client.flush(30) == 0]


def test_a_child_has_nothing_of_its_parents_client() -> None:
    assert outcome_of(inherit) == [True] * 5
