"""Writes the exploration settings to the topic `explorations`, under their digest.

Every Propensity names the settings that its decision was drawn with by their digest; readers find them here. A process
writes them before its first event, and again from time to time, so that a topic that was created late, or again, gets
them too. A compacted topic keeps one record for each digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.exploration import ExplorationSettings
from event_schemas.units import DAY_MS
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import EventSender, OutgoingEvent

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExplorationPlan:
    """The settings that a process draws with, and where and how often (milliseconds) it writes them."""

    topic: str
    settings: ExplorationSettings
    every_ms: int = DAY_MS


class ExplorationNotice:
    """Writes one plan's settings. Call it from one thread; it neither waits nor raises.

    `clock` gives epoch milliseconds. The process stays ready while Kafka refuses the topic, because decisions are
    complete without it: the event waits in the spool for about an hour and is sent if the topic exists by then; after
    that the next one is.
    """

    def __init__(self, plan: ExplorationPlan, codec: Codec, sender: EventSender, clock: Callable[[], int]) -> None:
        self._plan = plan
        self._codec = codec
        self._sender = sender
        self._clock = clock
        self._next = 0

    def send_now(self) -> None:
        """Writes the settings, whenever they were written last."""
        now, settings = self._clock(), self._plan.settings
        self._next = now + self._plan.every_ms
        record: r.ExplorationRecord = {"event_time": now, "digest": settings.digest, "settings": settings.text}
        try:
            value = self._codec.encode(r.EXPLORATION, record)
        except SchemaError as refused:
            log_safely(log.error, "exploration settings dropped", what=refused.what)
            self._sender.reject(r.EXPLORATION)
            return
        key = settings.digest.encode()
        self._sender.send(OutgoingEvent(self._plan.topic, key, value, r.EXPLORATION, essential=False))

    def send_when_due(self) -> None:
        """Writes the settings if `every_ms` has passed since they were written, or the clock was set back."""
        if not 0 < self._next - self._clock() <= self._plan.every_ms:
            self.send_now()
