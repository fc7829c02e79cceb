"""Whoever reads the topic finds the settings under the digest that every Propensity names."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from event_schemas.codec import Codec
from event_schemas.errors import UnknownSchema
from event_schemas.exploration import ExplorationSettings
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from producers.loggers.exploration_notice import RAISED_EVERY_MS, ExplorationNotices, ExplorationPlan
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


def told(log: MemoryLog, clock: Clock, codec: Codec = CODEC) -> ExplorationNotices:
    notices = ExplorationNotices(codec, log, clock)
    notices.tell(PLAN)
    return notices


def digests(log: Kept) -> list[str]:
    """Those of the events sent since the last call."""
    found = [event.key.decode() for event in log.sent if event.key is not None]
    log.sent.clear()
    return found


def test_the_record_holds_the_settings_under_their_digest() -> None:
    log = Kept()
    told(log, Clock()).send_when_due()
    [record] = log.records("explorations")
    found = CODEC.decode(record.value)
    assert (found.name, found.record["event_time"]) == ("Exploration", NOW)
    assert record.key == found.record["digest"].encode() == SETTINGS.digest.encode()
    assert ExplorationSettings.parse(found.record["digest"], found.record["settings"]) == SETTINGS
    assert not log.sent[0].essential, "a node without the topic stays ready"


def test_they_are_written_once_a_day_and_when_the_clock_was_set_back() -> None:
    log, clock = Kept(), Clock()
    notices = told(log, clock)
    notices.send_when_due()
    written = []
    for later in (1, DAY_MS - 1, DAY_MS, DAY_MS + 1, 2 * DAY_MS, -5 * DAY_MS, -5 * DAY_MS + 1):
        clock.now = NOW + later
        notices.send_when_due()
        written.append(len(log.sent))
    assert written == [1, 1, 2, 2, 3, 4, 4]


def test_further_settings_are_written_at_once_and_by_their_own_time_until_they_end() -> None:
    log, clock = Kept(), Clock()
    notices = told(log, clock)
    raised = ExplorationPlan("explorations", SETTINGS.with_log_rate(0.9), RAISED_EVERY_MS)
    notices.send_when_due()
    assert digests(log) == [SETTINGS.digest]
    notices.tell(raised)
    notices.send_when_due()
    assert digests(log) == [raised.settings.digest]
    clock.now += RAISED_EVERY_MS - 1
    notices.send_when_due()
    assert digests(log) == []
    clock.now += 1
    notices.send_when_due()
    assert digests(log) == [raised.settings.digest]
    notices.untell(raised.settings.digest)
    notices.untell("nobody told it")
    clock.now = NOW + DAY_MS
    notices.send_when_due()
    assert digests(log) == [SETTINGS.digest]


def test_a_raise_that_raises_nothing_does_not_end_the_settings_of_the_file() -> None:
    log, clock = Kept(), Clock()
    notices = told(log, clock)
    notices.tell(ExplorationPlan("explorations", SETTINGS.with_log_rate(0.0), RAISED_EVERY_MS))
    notices.send_when_due()
    assert digests(log) == [SETTINGS.digest] * 2
    notices.untell(SETTINGS.digest)
    clock.now += RAISED_EVERY_MS
    notices.send_when_due()
    assert digests(log) == []
    clock.now = NOW + DAY_MS
    notices.send_when_due()
    assert digests(log) == [SETTINGS.digest]


def test_what_ended_before_it_was_written_is_written_once() -> None:
    log, clock = Kept(), Clock()
    notices = told(log, clock)
    notices.untell(SETTINGS.digest)
    for _ in range(2):
        notices.send_when_due()
        clock.now += DAY_MS
    assert digests(log) == [SETTINGS.digest]


def test_a_forked_child_writes_all_of_them_again() -> None:
    log = Kept()
    notices = told(log, Clock())
    notices.send_when_due()
    notices.renew()
    notices.send_when_due()
    assert digests(log) == [SETTINGS.digest] * 2


def test_threads_may_tell_while_another_writes() -> None:
    log, clock = Kept(), Clock()
    notices = told(log, clock)
    plans = [ExplorationPlan("explorations", SETTINGS.with_log_rate(0.5 + n / 1000)) for n in range(200)]
    threads = [
        threading.Thread(target=lambda each=each: [*map(notices.tell, each)]) for each in (plans[::2], plans[1::2])
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        notices.send_when_due()
    notices.send_when_due()
    assert sorted(digests(log)) == sorted(plan.settings.digest for plan in [PLAN, *plans])


class Refusing(Codec):
    """A codec whose registry lacks the schema."""

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        raise UnknownSchema(f"{name} is not registered", fix="register it")


def test_settings_that_cannot_be_encoded_are_dropped_and_counted() -> None:
    log = Kept()
    told(log, Clock(), Refusing(Registry.bundled())).send_when_due()
    assert (log.counts().handed_in, log.counts().dropped) == (1, 1)
