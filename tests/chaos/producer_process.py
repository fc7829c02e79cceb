"""A producer process with a journal, so that it can be killed at any time and continue after a restart.

`python -m tests.chaos.producer_process ORDER`, where ORDER is a `ProducerOrder` as JSON. The journal has a line for
each event passed to the client (`h 12`) and for each acknowledged one (`a 12`). After a restart it sends unacknowledged
events again; those that the broker had stored without acknowledging are then in the log twice.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from tests.components.homefeed_log import START, HomefeedLog, SentEvent

MODULE = "tests.chaos.producer_process"
SPACING_MS = 4_000
"""Event time between two decisions: at a few dozen decisions a second, windows close while the faults happen."""
LINGER_MS = 100
"""Long enough that a kill at any moment finds unsent events in the client."""
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class ProducerOrder:
    """Which events to send, how fast, from which moment on (Unix time), and where the journal is."""

    bootstrap: str
    topic: str
    experiment_file: str
    journal: str
    seed: int
    decisions: int
    rate: float
    began: float

    def command(self) -> list[str]:
        """The command line of the process."""
        return [sys.executable, "-m", MODULE, json.dumps(asdict(self))]

    def log(self) -> HomefeedLog:
        """The events, the same in every life."""
        codec = Codec(Registry.bundled())
        return HomefeedLog(
            load_experiment(self.experiment_file), codec, self.decisions, seed=self.seed, spacing_ms=SPACING_MS
        )


@dataclass(frozen=True)
class Journal:
    """The events that a producer has sent in all its lives, by number; some were passed to the client repeatedly."""

    handed_in: frozenset[int]
    acknowledged: frozenset[int]

    @property
    def unknown(self) -> int:
        """How many events were passed to the client but not acknowledged."""
        return len(self.handed_in - self.acknowledged)

    @classmethod
    def read(cls, file: Path) -> Journal:
        """The journal so far; a line cut off by a kill is ignored."""
        text = file.read_text(encoding="ascii") if file.exists() else ""
        lines = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
        numbers = {mark: frozenset(int(number) for kind, number in lines if kind == mark) for mark in "ha"}
        return cls(numbers["h"], numbers["a"])


def send(order: ProducerOrder) -> None:
    """Send the events not yet acknowledged, each at its time, or immediately if that has passed."""
    done = Journal.read(Path(order.journal)).acknowledged
    journal = os.open(order.journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    settings: dict[str, Any] = {
        "bootstrap.servers": order.bootstrap,
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": LINGER_MS,
        "reconnect.backoff.max.ms": 1_000,
        "delivery.timeout.ms": PATIENCE_SECONDS * 1_000,
    }
    producer = Producer(settings)
    for number, event in enumerate(_paced(order)):
        if number not in done:
            os.write(journal, f"h {number}\n".encode())
            note = partial(_acknowledged, journal, number)
            producer.produce(order.topic, event.value, event.key, on_delivery=note)
        producer.poll(0)
    if left := producer.flush(PATIENCE_SECONDS):
        sys.exit(f"{left} events not acknowledged after {PATIENCE_SECONDS} s")


def _paced(order: ProducerOrder) -> Iterator[SentEvent]:
    """The events, none before its time."""
    event_ms_per_second = SPACING_MS * order.rate
    for event in order.log().events():
        due = order.began + (event.time - START) / event_ms_per_second
        if (wait := due - time.time()) > 0:
            time.sleep(wait)
        yield event


def _acknowledged(journal: int, number: int, fault: KafkaError | None, _: Message) -> None:
    if fault is None:
        os.write(journal, f"a {number}\n".encode())


if __name__ == "__main__":
    send(ProducerOrder(**json.loads(sys.argv[1])))
