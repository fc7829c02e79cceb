"""Counts the fates of the events handed in: each is acknowledged, spooled or dropped, and counted once."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from event_schemas.process_fork import renew_in_children
from event_schemas.topics import TOPICS
from monitoring.metrics import ProducerMetrics

DeliveryFate = Literal["acknowledged", "spooled", "dropped"]
UNKNOWN_RECORD = "unknown"
"""Events whose record type cannot be read, or is none of `RECORD_TYPES`, count as this one."""
RECORD_TYPES = frozenset(record for topic in TOPICS for record in topic.records)


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Events by fate since the sender started.

    `spooled` counts events whose delivery failed and that went to the spool. The other five count events in the spool,
    including those of earlier processes, and are not part of the balance: `resent` were acknowledged, `refused` will
    never be accepted by the broker, `set_aside` have been refused for too long, `damaged` can no longer be read, and
    `adopted` came from the spools of dead processes.
    """

    handed_in: int = 0
    acknowledged: int = 0
    spooled: int = 0
    dropped: int = 0
    resent: int = 0
    refused: int = 0
    set_aside: int = 0
    damaged: int = 0
    adopted: int = 0

    @property
    def in_flight(self) -> int:
        """Events handed in whose fate is still open; 0 means acknowledged + spooled + dropped = handed in."""
        return self.handed_in - self.acknowledged - self.spooled - self.dropped


class DeliveryLedger:
    """Counts fates from any thread, and mirrors them into `trimtab_producer_events_total{record,fate}`.

    A forked child starts at zero: events in flight in the parent remain the parent's.
    """

    def __init__(self, metrics: ProducerMetrics | None = None) -> None:
        self._metrics = metrics
        self._begin()
        renew_in_children(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._fates: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        """Events by record whose fate is open."""

    def hand_in(self, record: str) -> None:
        """Counts one event of record type `record` as handed in."""
        with self._lock:
            self._open[record] += 1
            self._fates["handed_in"] += 1
        self._export(record, "handed_in", 1)

    def settle(self, record: str, fate: DeliveryFate) -> None:
        """Counts the fate of an event that was handed in."""
        with self._lock:
            if not self._open[record]:
                return  # `give_up` has already counted it
            self._open[record] -= 1
            self._fates[fate] += 1
        self._export(record, fate, 1)

    def give_up(self) -> None:
        """Counts events that are still open as dropped: no more delivery reports will come."""
        with self._lock:
            given_up, self._open = self._open, Counter()
            self._fates["dropped"] += given_up.total()
        for record, events in given_up.items():
            self._export(record, "dropped", events)

    def resent(self, record: str) -> None:
        """Counts one acknowledged delivery out of the spool."""
        self._count(record, "resent", 1)

    def refused(self, record: str) -> None:
        """Counts one event in the spool that the broker will never accept."""
        self._count(record, "refused", 1)

    def set_aside(self, record: str) -> None:
        """Counts one event that was moved from the spool to the file of events that Kafka does not accept."""
        self._count(record, "set_aside", 1)

    def damaged(self, events: Mapping[str, int]) -> None:
        """Counts events, by record, that were damaged in the spool."""
        for record, number in events.items():
            self._count(record, "damaged", number)

    def adopted(self, events: Mapping[str, int]) -> None:
        """Counts events, by record, that came from a dead process's spool."""
        for record, number in events.items():
            self._count(record, "adopted", number)

    def counts(self) -> DeliveryCounts:
        """The counts at this moment, consistent with each other."""
        with self._lock:
            return DeliveryCounts(**self._fates)

    def after_fork(self) -> None:
        """Resets the counts: a child counts only its own events."""
        self._begin()

    def _count(self, record: str, fate: str, events: int) -> None:
        with self._lock:
            self._fates[fate] += events
        self._export(record, fate, events)

    def _export(self, record: str, fate: str, events: int) -> None:
        """A record type that no topic has, which a foreign spool may name, is exported as `unknown`."""
        if self._metrics is not None:
            known = record if record in RECORD_TYPES else UNKNOWN_RECORD
            self._metrics.events.labels(record=known, fate=fate).inc(events)
