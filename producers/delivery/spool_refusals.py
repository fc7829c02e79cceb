"""What Kafka refuses of the spool's events, where that says nothing about this process.

A spool outlives topics: it may hold events for one that was deleted, or for a partition that a new one has not. Nobody
hands this process such events, so it works as it should and is ready. They are tried again, after all others, and what
is refused for an hour on end is set aside.
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
"""A refusal that has not come again for so long is over, or its events are gone."""
NAMED_DESTINATIONS = 3
log = structlog.get_logger(__name__)
Destination = tuple[str, int | None]
"""A topic, and the partition where an event names one."""


@dataclass(slots=True)
class _Refusal:
    reason: str
    first: float
    newest: float


class SpoolRefusals:
    """Refusals by destination; mirrored into `trimtab_producer_refused_destinations`.

    May be told from any thread: every change is one step. `clock` counts seconds.
    """

    def __init__(self, metrics: ProducerMetrics | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._refusals: dict[Destination, _Refusal] = {}

    @property
    def fault(self) -> str | None:
        """Which destinations are refused and why; None while none is."""
        refusals = sorted(self._refusals.items(), key=lambda item: item[1].first)
        if not refusals:
            return None
        named = [f"{_name(destination)}: {refusal.reason}" for destination, refusal in refusals[:NAMED_DESTINATIONS]]
        more = len(refusals) - len(named)
        return "; ".join(named) + (f"; and {more} more" if more else "")

    def note_refused(self, event: OutgoingEvent, reason: str) -> bool:
        """Notes a refusal; whether its destination has refused everything for SET_ASIDE_SECONDS."""
        now, destination = self._clock(), (event.topic, event.partition)
        refusal = self._refusals.get(destination)
        if refusal is None:
            self._refusals[destination] = refusal = _Refusal(reason, now, now)
            log_safely(log.error, "Kafka refuses events of the spool", to=_name(destination), fault=reason)
        refusal.reason, refusal.newest = reason, now
        return now - refusal.first >= SET_ASIDE_SECONDS

    def note_accepted(self, event: OutgoingEvent) -> None:
        """The broker took an event out of the spool."""
        self._refusals.pop((event.topic, event.partition), None)

    def tell(self) -> None:
        """Forgets refusals that have not come again, and tells the metric how things stand."""
        for destination, refusal in list(self._refusals.items()):
            if self._clock() - refusal.newest > FORGET_SECONDS:
                self._refusals.pop(destination, None)
        if self._metrics is not None:
            self._metrics.refused_destinations.set(len(self._refusals))


def _name(destination: Destination) -> str:
    topic, partition = destination
    return topic if partition is None else f"{topic}[{partition}]"
