"""What became of the events handed in: each is acknowledged, spooled or dropped, and counted once."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from monitoring.metrics import ProducerMetrics

DeliveryFate = Literal["acknowledged", "spooled", "dropped"]


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Events by fate since the sender started.

    `spooled` counts events whose delivery failed and that went to the spool; `resent` counts acknowledged
    deliveries *out of* the spool, those of earlier processes included, and is no part of the balance.
    """

    handed_in: int = 0
    acknowledged: int = 0
    spooled: int = 0
    dropped: int = 0
    resent: int = 0

    @property
    def in_flight(self) -> int:
        """Events handed in whose fate is still open; 0 means acknowledged + spooled + dropped = handed in."""
        return self.handed_in - self.acknowledged - self.spooled - self.dropped


class DeliveryLedger:
    """Counts fates from any thread, and mirrors them into `trimtab_producer_events_total{record,fate}`."""

    def __init__(self, metrics: ProducerMetrics | None = None) -> None:
        self._lock = threading.Lock()
        self._metrics = metrics
        self._handed_in = 0
        self._resent = 0
        self._fates: dict[DeliveryFate, int] = {"acknowledged": 0, "spooled": 0, "dropped": 0}

    def hand_in(self, record: str) -> None:
        """Counts one event of record type `record` as handed in."""
        with self._lock:
            self._handed_in += 1
        self._export(record, "handed_in")

    def settle(self, record: str, fate: DeliveryFate) -> None:
        """Counts the one fate of an event handed in before."""
        with self._lock:
            self._fates[fate] += 1
        self._export(record, fate)

    def resent(self, record: str) -> None:
        """Counts one acknowledged delivery out of the spool."""
        with self._lock:
            self._resent += 1
        self._export(record, "resent")

    def counts(self) -> DeliveryCounts:
        """The counts at this moment, consistent with each other."""
        with self._lock:
            return DeliveryCounts(self._handed_in, resent=self._resent, **self._fates)

    def _export(self, record: str, fate: str) -> None:
        if self._metrics is not None:
            self._metrics.events.labels(record=record, fate=fate).inc()
