"""The contract of an event sender, run over every implementation."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.kafka_delivery import KafkaDelivery
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import EventSender, OutgoingEvent, expect_topics, fault_of, spool_fault_of


@pytest.fixture(params=["memory", "kafka protocol"])
def sender(request: pytest.FixtureRequest) -> Iterator[EventSender]:
    if request.param == "memory":
        yield MemoryLog()
    else:
        with KafkaDelivery({"test.mock.num.brokers": 1}) as delivery:
            yield delivery


def event(key: bytes | None = b"k") -> OutgoingEvent:
    return OutgoingEvent("events", key, b"value", "Request")


def test_flush_settles_what_was_handed_in(sender: EventSender) -> None:
    for number in range(100):
        sender.send(event(str(number).encode()))
    counts = sender.flush(10)
    assert (counts.handed_in, counts.acknowledged, counts.in_flight) == (100, 100, 0)
    assert sender.counts() == counts


def test_a_rejected_event_is_handed_in_and_dropped(sender: EventSender) -> None:
    sender.reject("Request")
    counts = sender.flush(10)
    assert (counts.handed_in, counts.dropped, counts.in_flight) == (1, 1, 0)


def test_an_explicit_partition_and_a_null_key_are_taken(sender: EventSender) -> None:
    sender.send(OutgoingEvent("events", None, b"value", "Heartbeat", 3))
    assert sender.flush(10).acknowledged == 1


def test_many_threads_may_send(sender: EventSender) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: sender.send(event()), range(400)))
    counts = sender.flush(10)
    assert (counts.handed_in, counts.acknowledged) == (400, 400)


class PlainSender:
    """A sender as version 0.1.0 asks for."""

    def send(self, event: OutgoingEvent) -> None:
        raise AssertionError

    def reject(self, record: str) -> None:
        raise AssertionError

    def counts(self) -> DeliveryCounts:
        return DeliveryCounts()

    def flush(self, timeout_s: float) -> DeliveryCounts:
        return self.counts()


def test_a_sender_need_not_tell_faults(sender: EventSender) -> None:
    assert fault_of(PlainSender()) is None
    assert spool_fault_of(PlainSender()) is None
    expect_topics(PlainSender(), "events")
    assert fault_of(sender) is None
