"""An outage is logged once, with its reason; an idle connection that its broker closes is not an outage."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from producers.delivery.outage_notice import REASON_SECONDS, OutageNotice

CONFIG = {"bootstrap.servers": "broker:9092", "sasl.username": "serving"}
DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")


class Bench:
    """A notice with its own clock, and what it logged."""

    def __init__(self, lines: list[Any]) -> None:
        self.now = 0.0
        self.notice = OutageNotice(CONFIG, lambda: self.now)
        self.lines = lines

    def told(self) -> list[str]:
        """The new log lines after the client had time to give the reason."""
        self.now += REASON_SECONDS
        self.notice.look()
        told = [str(line["fault"]) for line in self.lines]
        self.lines.clear()
        return told


@pytest.fixture
def bench() -> Iterator[Bench]:
    with capture_logs() as lines:
        yield Bench(lines)


@pytest.mark.parametrize("reason_first", [True, False])
@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (KafkaError._TRANSPORT, "Connection refused", " does not answer (Write events): Connection refused"),
        (KafkaError._RESOLVE, "no such host", " does not answer (Write events): no such host"),
        (KafkaError._BAD_MSG, "Invalid size", " does not answer as Kafka does (Write events): Invalid size"),
        (KafkaError._SSL, "certificate verify failed", ": TLS fails: certificate verify failed"),
        (KafkaError._AUTHENTICATION, "bad password", " refuses user 'serving': bad password"),
    ],
)
def test_the_reason_is_told_once(bench: Bench, code: int, text: str, expected: str, reason_first: bool) -> None:
    for fault in [KafkaError(code, text), DOWN][:: 1 if reason_first else -1]:
        bench.notice.note(fault)
    bench.notice.look()
    assert bench.lines == [], "the client may still say why"
    assert bench.told() == [f"Kafka at broker:9092{expected}"]
    assert bench.told() == []


def test_the_next_outage_is_told_again(bench: Bench) -> None:
    for _ in range(2):
        bench.notice.note(KafkaError(KafkaError._TRANSPORT, "Connection refused"))
        bench.notice.note(DOWN)
        assert len(bench.told()) == 1
        bench.notice.works()


def test_a_long_outage_is_told_once_for_each_reason(bench: Bench) -> None:
    refused, silent = KafkaError(KafkaError._TRANSPORT, "Connection refused"), None
    told = []
    for reason in (refused, refused, silent, refused, silent, KafkaError(KafkaError._RESOLVE, "no such host"), refused):
        if reason is not None:
            bench.notice.note(reason)
        bench.notice.note(DOWN)
        told += bench.told()
    assert [re.sub(r".*: |.*broker:9092 ", "", line) for line in told] == [
        "Connection refused",
        "closes the connections of this client, which speaks PLAINTEXT, or does not answer on them (Write events)",
        "no such host",
    ]


def test_connections_closed_without_a_reason_are_the_wrong_protocol_or_idle(bench: Bench) -> None:
    bench.notice.note(DOWN)
    assert "which speaks PLAINTEXT" in bench.told()[0]
    bench.notice.works()
    bench.notice.note(DOWN)
    assert bench.told() == [], "it worked before: nothing was sent for a while"


def test_a_broker_that_is_back_in_time_is_no_outage(bench: Bench) -> None:
    bench.notice.note(KafkaError(KafkaError._TRANSPORT, "Connection refused"))
    bench.notice.note(DOWN)
    bench.notice.works()
    assert bench.told() == []


def test_one_broker_of_several_is_no_outage(bench: Bench) -> None:
    bench.notice.note(KafkaError(KafkaError._TRANSPORT, "Connection refused"))
    assert bench.told() == []
