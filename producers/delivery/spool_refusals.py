"""Refusals of spooled events that do not concern this process's own topics.

A spool outlives topics: it may hold events for a deleted topic, or for a partition that the new topic lacks. This
process is handed no new events for those, so it works and stays ready. Such events are tried again after all others;
if a destination refuses them for an hour without a break, they are set aside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from monitoring.metrics import ProducerMetrics
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import OutgoingEvent

SET_ASIDE_SECONDS = 3_600.0
FORGET_SECONDS = 600.0
"""A refusal that has not recurred for this many seconds is over, or its events are gone."""
NAMED_DESTINATIONS = 3
log = structlog.get_logger(__name__)
Destination = tuple[str, int | None]
"""A topic, and the partition if the event names one."""


@dataclass(slots=True)
class _Refusal:
    reason: str
    first: float
    newest: float


class SpoolRefusals:
    """Refusals by destination; mirrored into `trimtab_producer_refused_destinations`.

    Thread-safe: every change is one step. `clock` is in seconds.
    """

    def __init__(self, metrics: ProducerMetrics | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._refusals: dict[Destination, _Refusal] = {}

    @property
    def fault(self) -> str | None:
        """Which destinations Kafka refuses and why; None while it refuses none."""
        refusals = sorted(self._refusals.items(), key=lambda item: item[1].first)
        if not refusals:
            return None
        named = [f"{_name(destination)}: {refusal.reason}" for destination, refusal in refusals[:NAMED_DESTINATIONS]]
        more = len(refusals) - len(named)
        return "; ".join(named) + (f"; and {more} more, each named in the log" if more else "")

    def note_refused(self, event: OutgoingEvent, reason: str) -> bool:
        """Notes a refusal. Returns whether the destination has refused everything for SET_ASIDE_SECONDS."""
        now, destination = self._clock(), (event.topic, event.partition)
        refusal = self._refusals.get(destination)
        if refusal is None:
            self._refusals[destination] = refusal = _Refusal(reason, now, now)
            log_safely(log.error, "Kafka refuses events of the spool", to=_name(destination), fault=reason)
        refusal.reason, refusal.newest = reason, now
        return now - refusal.first >= SET_ASIDE_SECONDS

    def note_accepted(self, event: OutgoingEvent) -> None:
        """Notes that the broker accepted an event from the spool."""
        self._refusals.pop((event.topic, event.partition), None)

    def tell(self) -> None:
        """Forgets refusals that have not recurred, and sets the metric."""
        for destination, refusal in list(self._refusals.items()):
            if self._clock() - refusal.newest > FORGET_SECONDS:
                self._refusals.pop(destination, None)
        if self._metrics is not None:
            self._metrics.refused_destinations.set(len(self._refusals))


def _name(destination: Destination) -> str:
    topic, partition = destination
    return topic if partition is None else f"{topic}[{partition}]"
