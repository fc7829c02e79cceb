"""Which of Kafka's faults stay until something changes, and which pass by themselves."""

from __future__ import annotations

from itertools import combinations

import pytest
from confluent_kafka import KafkaError

from producers.topics.kafka_refusals import (
    CREDENTIALS,
    EVENT_REFUSED,
    NO_DESTINATION,
    POSITION_GONE,
    RIGHTS,
    needs_a_person,
    refuses_client,
)

GROUPS = (CREDENTIALS, EVENT_REFUSED, NO_DESTINATION, POSITION_GONE, RIGHTS)
PASSING = (
    KafkaError._MSG_TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._PURGE_QUEUE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.REQUEST_TIMED_OUT,
)


def test_a_fault_has_one_remedy() -> None:
    assert not any(one & other for one, other in combinations(GROUPS, 2))


def test_the_client_never_tries_again_by_itself_what_the_broker_refuses_of_an_event() -> None:
    assert not any(KafkaError(code).retriable() for code in EVENT_REFUSED)


@pytest.mark.parametrize("code", sorted(RIGHTS | CREDENTIALS | NO_DESTINATION))
def test_a_person_is_needed_where_every_event_is_refused(code: int) -> None:
    assert needs_a_person(KafkaError(code))


@pytest.mark.parametrize("code", sorted(EVENT_REFUSED) + list(PASSING))
def test_nobody_is_needed_for_one_event_or_an_outage(code: int) -> None:
    assert not needs_a_person(KafkaError(code))
    assert not refuses_client(code, "Connection refused")


@pytest.mark.parametrize(
    ("text", "refused"), [("certificate verify failed", True), ("SSL handshake failed: Disconnected", False)]
)
def test_a_greeting_that_is_cut_short_passes_and_a_strange_certificate_stays(text: str, refused: bool) -> None:
    assert needs_a_person(KafkaError(KafkaError._SSL, text)) is refused
    assert refuses_client(KafkaError._SSL, text) is refused
