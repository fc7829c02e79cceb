"""Whoever reads the topic finds the settings under the digest that every Propensity names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from event_schemas.codec import Codec
from event_schemas.errors import UnknownSchema
from event_schemas.exploration import ExplorationSettings
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from producers.loggers.exploration_notice import ExplorationNotice, ExplorationPlan
from tests.serving_samples import NOW, serving_experiment

CODEC = Codec(Registry.bundled())
SETTINGS = serving_experiment().exploration
PLAN = ExplorationPlan("explorations", SETTINGS)


class Clock:
    """A clock in milliseconds that the test sets."""

    now = NOW

    def __call__(self) -> int:
        return self.now


class Kept(MemoryLog):
    """A log that also keeps the events as they were handed in."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[OutgoingEvent] = []

    def send(self, event: OutgoingEvent) -> None:
        self.sent.append(event)
        super().send(event)


def test_the_record_holds_the_settings_under_their_digest() -> None:
    log = Kept()
    ExplorationNotice(PLAN, CODEC, log, Clock()).send_now()
    [record] = log.records("explorations")
    found = CODEC.decode(record.value)
    assert (found.name, found.record["event_time"]) == ("Exploration", NOW)
    assert record.key == found.record["digest"].encode() == SETTINGS.digest.encode()
    assert ExplorationSettings.parse(found.record["digest"], found.record["settings"]) == SETTINGS
    assert not log.sent[0].essential, "a node without the topic stays ready"


def test_they_are_written_once_a_day_and_when_the_clock_was_set_back() -> None:
    log, clock = Kept(), Clock()
    notice = ExplorationNotice(PLAN, CODEC, log, clock)
    notice.send_now()
    written = []
    for later in (1, DAY_MS - 1, DAY_MS, DAY_MS + 1, 2 * DAY_MS, -5 * DAY_MS, -5 * DAY_MS + 1):
        clock.now = NOW + later
        notice.send_when_due()
        written.append(len(log.sent))
    assert written == [1, 1, 2, 2, 3, 4, 4]


class Refusing(Codec):
    """A codec whose registry lacks the schema."""

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        raise UnknownSchema(f"{name} is not registered", fix="register it")


def test_settings_that_cannot_be_encoded_are_dropped_and_counted() -> None:
    log = Kept()
    ExplorationNotice(PLAN, Refusing(Registry.bundled()), log, Clock()).send_now()
    assert (log.counts().handed_in, log.counts().dropped) == (1, 1)
