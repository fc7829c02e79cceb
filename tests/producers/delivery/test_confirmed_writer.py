"""On a real broker: confirmed events are stored, refused ones are returned, and any other fault ends the writer."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from event_schemas.log_record import LogRecord
from producers.delivery.confirmed_writer import ConfirmedWriter, WriteUnconfirmed
from producers.delivery.outgoing_event import OutgoingEvent
from producers.topics.key_partition import partition_of
from tests.components.embedded_log import read_all
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker

ORIGIN = LogRecord("source", 0, 7, 0, None, None)


def config(kafka: KafkaBroker) -> dict[str, str]:
    return {"bootstrap.servers": kafka.bootstrap}


def test_confirmed_means_stored_in_the_partition_of_the_key(kafka: KafkaBroker, topics: Callable[[], str]) -> None:
    topic = f"{topics()}events"
    writer = ConfirmedWriter(config(kafka), "events")
    events = [OutgoingEvent(topic, f"r-{n}".encode(), f"{n}".encode(), "Engagement") for n in range(200)]
    for event in events:
        writer.write(event, ORIGIN)
    assert writer.confirm() == []
    stored = read_all(kafka.bootstrap, topic)
    assert {(m.key(), m.value()) for m in stored} == {(e.key, e.value) for e in events}
    assert all(m.partition() == partition_of(m.key() or b"", 4) for m in stored)
    writer.close()


def test_only_what_the_topic_cannot_take_is_refused(kafka: KafkaBroker) -> None:
    """The small events share a batch with the large one; the topic accepts less than a batch of the client."""
    topic = f"small-{time.time_ns()}"
    admin = AdminClient({**config(kafka)})
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": "10000"})])[topic].result()
    writer = ConfirmedWriter({**config(kafka), "linger.ms": "200"}, "events")
    sizes = [10, 9_000, 20_000, 9_000, 10]
    for size in sizes:
        writer.write(OutgoingEvent(topic, b"k", b"x" * size, "Engagement"), ORIGIN)
    refused = writer.confirm()
    assert [len(refusal.event.value) for refusal in refused] == [20_000]
    assert refused[0].origin is ORIGIN
    writer.write(OutgoingEvent(topic, b"k", b"after", "Engagement"), ORIGIN)
    assert writer.confirm() == []
    assert sorted(len(m.value() or b"") for m in read_all(kafka.bootstrap, topic)) == [5, 10, 10, 9_000, 9_000]
    writer.close()


def test_what_the_client_itself_refuses_comes_back_too(kafka: KafkaBroker, topics: Callable[[], str]) -> None:
    writer = ConfirmedWriter(config(kafka), "events")
    writer.write(OutgoingEvent(f"{topics()}events", b"k", b"x" * 9 * 1_048_576, "Engagement"), ORIGIN)
    assert len(writer.confirm()) == 1
    writer.close()


@pytest.mark.parametrize("patient", [True, False])
def test_a_broker_that_is_not_there_is_a_failure(patient: bool) -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{free_port()}", "log_level": "0"}
    writer = ConfirmedWriter(nowhere, "events", 1.0 if patient else 60.0, lambda: not patient)
    event = OutgoingEvent("events", b"k", b"v", "Engagement")
    writer.write(event, ORIGIN)
    with pytest.raises(WriteUnconfirmed, match="did not accept" if patient else "stopped before"):
        writer.confirm()
    with pytest.raises(WriteUnconfirmed):
        writer.write(event, ORIGIN)
    writer.close()


def test_a_full_queue_is_waited_for(kafka: KafkaBroker, topics: Callable[[], str]) -> None:
    topic = f"{topics()}events"
    writer = ConfirmedWriter({**config(kafka), "queue.buffering.max.messages": 10}, "events")
    for number in range(100):
        writer.write(OutgoingEvent(topic, None, f"{number}".encode(), "Engagement"), ORIGIN)
    assert writer.confirm() == []
    assert len(read_all(kafka.bootstrap, topic)) == 100
    writer.close()
