"""A broker that refuses is a fault, with its reason; one that does not answer is not."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError
from prometheus_client import CollectorRegistry

from monitoring.metrics import ProducerMetrics
from producers.delivery.delivery_health import ANY_TOPIC, FORGET_SECONDS, DeliveryHealth
from producers.topics.kafka_refusals import CREDENTIALS, NO_DESTINATION, RIGHTS, TOPIC_ABSENT


class Bench:
    """A health with its own clock and gauge."""

    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.health = DeliveryHealth(ProducerMetrics(self.registry), lambda: self.now)

    def state(self) -> tuple[str | None, float | None]:
        return self.health.fault, self.registry.get_sample_value("trimtab_producer_delivering")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_all_is_well_until_something_is_known(bench: Bench) -> None:
    assert bench.state() == (None, 1.0)


def test_a_dead_client_is_a_fault_until_one_works(bench: Bench) -> None:
    bench.health.note_refused(ANY_TOPIC, KafkaError(KafkaError._AUTHENTICATION))
    bench.health.died("fenced")
    assert bench.state() == ("fenced", 0.0)
    bench.health.note_accepted("events")
    assert bench.state() == ("fenced", 0.0), "a late report of the dead client"
    bench.health.works()
    assert bench.state() == (None, 1.0)


@pytest.mark.parametrize("code", sorted(RIGHTS))
def test_who_may_not_write_what_is_named(code: int) -> None:
    health = DeliveryHealth(client_config={"sasl.username": "serving"})
    health.note_refused("events", KafkaError(code))
    assert (health.fault or "").startswith("Kafka user 'serving' may not Write topic events: Broker: ")
    assert health.in_words(ANY_TOPIC, KafkaError(code)).startswith("Kafka user 'serving' may not Write any topic: ")
    assert health.in_words(ANY_TOPIC, KafkaError(KafkaError._FENCED)).startswith("Kafka: ")


def test_a_topic_stays_refused_while_clients_come_and_go_until_it_takes_something(bench: Bench) -> None:
    """For a user who may write only to another topic, clients work."""
    bench.health.note_refused("events", KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    refusal = bench.state()
    for _ in range(3):
        bench.health.died("may not write")
        bench.health.works()
        bench.health.note_accepted("tallies")
        bench.health.tell()
        assert bench.state() == refusal
    bench.health.note_accepted("events")
    assert bench.state() == (None, 1.0)


@pytest.mark.parametrize("code", sorted(RIGHTS | CREDENTIALS | NO_DESTINATION))
def test_a_refusal_is_a_fault_until_the_topic_takes_something(bench: Bench, code: int) -> None:
    assert bench.health.note_refused("events", KafkaError(code))
    assert bench.state() == (bench.health.in_words("events", KafkaError(code)), 0.0)
    bench.health.note_accepted("tallies")
    assert bench.state()[1] == 0.0
    bench.health.note_accepted("events")
    assert bench.state() == (None, 1.0)


@pytest.mark.parametrize(
    "code", [KafkaError._MSG_TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._PURGE_QUEUE]
)
def test_an_outage_is_no_fault(bench: Bench, code: int) -> None:
    assert not bench.health.note_refused("events", KafkaError(code))
    assert bench.state() == (None, 1.0)


def test_a_certificate_that_is_not_trusted_is_a_fault_and_a_greeting_cut_short_is_none(bench: Bench) -> None:
    assert not bench.health.note_refused(ANY_TOPIC, KafkaError(KafkaError._SSL, "SSL handshake failed: Disconnected"))
    untrusted = "SSL handshake failed: certificate verify failed"
    assert bench.health.note_refused(ANY_TOPIC, KafkaError(KafkaError._SSL, untrusted))
    assert bench.state() == (f"Kafka: {untrusted}", 0.0)


def test_a_refused_client_is_well_when_any_event_arrives(bench: Bench) -> None:
    bench.health.note_refused(ANY_TOPIC, KafkaError(KafkaError._AUTHENTICATION))
    assert bench.state()[1] == 0.0
    bench.health.note_accepted("tallies")
    assert bench.state() == (None, 1.0)


def test_a_refusal_that_does_not_come_again_is_forgotten(bench: Bench) -> None:
    """Without traffic nothing would show that the right was granted."""
    bench.health.note_refused("events", KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    bench.now = FORGET_SECONDS
    bench.health.note_refused("tallies", KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    bench.now += 1.0
    bench.health.tell()
    assert str(bench.state()[0]).endswith("tallies: Broker: Topic authorization failed")
    bench.now += FORGET_SECONDS
    bench.health.tell()
    assert bench.state() == (None, 1.0)


@pytest.mark.parametrize("code", sorted(TOPIC_ABSENT))
def test_an_absent_topic_is_named_with_the_command_that_makes_it(code: int) -> None:
    health = DeliveryHealth()
    health.note_refused("t.events", KafkaError(code))
    assert health.fault == "topic t.events does not exist: create the topics with `trimtab topics create`"
