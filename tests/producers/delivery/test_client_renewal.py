"""A dead client fails the events it held and is replaced, neither too soon nor too late."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, Message

from event_schemas.errors import SettingError
from producers.delivery.client_renewal import LONGEST_PAUSE, ClientRenewal
from producers.delivery.delivery_health import DeliveryHealth
from producers.delivery.kafka_client import DeliveryReport, KafkaClient
from producers.delivery.outgoing_event import OutgoingEvent
from tests.producers.spool_events import events

DEAD = KafkaError(KafkaError._FATAL, "may not write", True)


class ScriptedClient(KafkaClient):
    """A client that dies and works when a test says so; the events it holds fail when it gives up."""

    def __init__(self) -> None:
        self.fault = None
        self.registered = False
        self.held: list[DeliveryReport] = []
        self.released = False

    def produce(self, event: OutgoingEvent, on_delivery: DeliveryReport, headers: object = ()) -> KafkaError | None:
        self.held.append(on_delivery)
        return None

    def give_up(self) -> None:
        for report in self.held:
            report(KafkaError(KafkaError._PURGE_QUEUE), None)  # type: ignore[arg-type]  # reports do not look at it

    def release(self) -> None:
        self.released = True


class Bench:
    """A renewal with its own clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.clients: list[ScriptedClient] = []
        self.looked: list[float] = []
        self.refuses = False
        self.health = DeliveryHealth()
        self.renewal = ClientRenewal(self.build, self.health, lambda: self.now)
        self.renewal.open()

    def build(self, look_seconds: float) -> ScriptedClient:
        if self.refuses:
            raise SettingError("no such file", fix="name one")
        self.looked.append(look_seconds)
        self.clients.append(ScriptedClient())
        return self.clients[-1]

    def fault(self) -> str | None:
        return self.health.fault

    def let(self, seconds: float) -> None:
        self.now += seconds
        self.renewal.tend()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_client_that_lives_stays(bench: Bench) -> None:
    for _ in range(100):
        bench.let(10.0)
    assert (len(bench.clients), bench.looked, bench.health.fault) == (1, [0.0], None)


def test_the_dead_give_up_what_they_hold(bench: Bench) -> None:
    fates: list[str] = []

    def report(fault: KafkaError | None, _: Message) -> None:
        assert fault is not None
        fates.append(fault.name())

    for event in events(3):
        assert bench.renewal.produce(event, report) is None
    bench.clients[0].fault = DEAD
    bench.let(0.0)
    eventually(lambda: bench.clients[0].released)
    assert fates == ["_PURGE_QUEUE"] * 3
    assert bench.renewal.current is None
    refused = bench.renewal.produce(events(1)[0], report)
    assert refused is not None
    assert refused.code() == KafkaError._STATE
    assert bench.health.fault == "Kafka: may not write"


def test_pauses_double_up_to_three_seconds_until_a_client_works(bench: Bench) -> None:
    pauses = []
    for _ in range(6):
        bench.renewal.current.fault = DEAD  # type: ignore[union-attr]
        bench.let(0.0)
        began = bench.now
        while bench.renewal.current is None:
            bench.let(0.125)
        pauses.append(bench.now - began)
        assert bench.health.fault == "Kafka: may not write", "a new client is no proof"
    assert pauses == [0.5, 1.0, 2.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert set(bench.looked[1:]) == {0.5}
    bench.clients[-1].registered = True
    bench.let(0.0)
    assert bench.health.fault is None
    bench.clients[-1].fault = DEAD
    bench.let(0.0)
    bench.let(0.5)
    assert bench.renewal.current is not None, "pauses begin anew"


def test_settings_that_no_client_takes_are_tried_again(bench: Bench) -> None:
    """A certificate file may be about to be replaced."""
    bench.refuses = True
    bench.clients[0].fault = DEAD
    bench.let(0.0)
    bench.let(0.5)
    assert bench.fault() == "no such file"
    bench.refuses = False
    bench.let(1.0)
    bench.clients[-1].registered = True
    bench.let(0.0)
    assert bench.fault() is None
    assert len(bench.clients) == 2


def test_after_close_nothing_comes_any_more(bench: Bench) -> None:
    failed: list[object] = []
    bench.renewal.produce(events(1)[0], lambda fault, _: failed.append(fault))
    bench.clients[0].fault = DEAD
    bench.let(0.0)
    bench.renewal.close()
    assert len(failed) == 1
    bench.let(100.0)
    assert (len(bench.clients), bench.renewal.current) == (1, None)
