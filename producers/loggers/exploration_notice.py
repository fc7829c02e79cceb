"""Writes the exploration settings to the topic `explorations`, under their digest.

Every Propensity names the settings that its decision was drawn with by their digest; readers find them here. A process
writes them before its first event, and again from time to time, so that a topic that was created late, or again, gets
them too. A compacted topic keeps one record for each digest.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.exploration import ExplorationSettings
from event_schemas.units import DAY_MS, MINUTE_MS
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import EventSender, OutgoingEvent

RAISED_EVERY_MS = MINUTE_MS
"""How often settings with a raised log rate are written while it is in force: readers learn from it until when."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ExplorationPlan:
    """The settings that a process draws with, and where and how often (milliseconds) it writes them.

    `every_ms` is RAISED_EVERY_MS for settings with a raised log rate.
    """

    topic: str
    settings: ExplorationSettings
    every_ms: int = DAY_MS


class ExplorationNotices:
    """Writes the settings of the plans that it was told, each at once and again every `every_ms`.

    `tell` and `untell` may be called from any thread, `send_when_due` from one. It neither waits nor raises. `clock`
    gives epoch milliseconds. The process stays ready while Kafka refuses the topic, because decisions are complete
    without it: the event waits in the spool for about an hour and is sent if the topic exists by then; after that the
    next one is.
    """

    def __init__(self, codec: Codec, sender: EventSender, clock: Callable[[], int]) -> None:
        self._codec = codec
        self._sender = sender
        self._clock = clock
        self._lock = threading.Lock()
        self._notices: list[_Notice] = []

    def tell(self, plan: ExplorationPlan) -> None:
        """Begins to write a plan's settings; they are written by the next `send_when_due`."""
        with self._lock:
            self._notices.append(_Notice(plan))

    def untell(self, digest: str) -> None:
        """Ends the plan with these settings that was told last, if there is one; the others go on.

        What was never written is still written once: decisions may have been drawn with it.
        """
        with self._lock:
            for notice in reversed(self._notices):
                if notice.plan.settings.digest == digest and not notice.ended:
                    notice.ended = True
                    return

    def send_when_due(self) -> None:
        """Writes what was not written for `every_ms`; all of it if the clock was set back."""
        now = self._clock()
        with self._lock:
            due = [notice for notice in self._notices if notice.is_due(now)]
            self._notices = [notice for notice in self._notices if not notice.ended]
        for notice in due:
            notice.next_at = now + notice.plan.every_ms
            self._send(notice.plan, now)

    def renew(self) -> None:
        """Writes all of them anew, with a lock of its own: for a forked child, which is another producer."""
        self._lock = threading.Lock()
        for notice in self._notices:
            notice.next_at = None

    def _send(self, plan: ExplorationPlan, now: int) -> None:
        settings = plan.settings
        record: r.ExplorationRecord = {"event_time": now, "digest": settings.digest, "settings": settings.text}
        try:
            value = self._codec.encode(r.EXPLORATION, record)
        except SchemaError as refused:
            log_safely(log.error, "exploration settings dropped", what=refused.what)
            self._sender.reject(r.EXPLORATION)
            return
        self._sender.send(OutgoingEvent(plan.topic, settings.digest.encode(), value, r.EXPLORATION, essential=False))


@dataclass(eq=False)
class _Notice:
    """A plan, and when (epoch ms) its settings are due next; None before they were written."""

    plan: ExplorationPlan
    next_at: int | None = None
    ended: bool = False

    def is_due(self, now: int) -> bool:
        if self.next_at is None:
            return True
        return not self.ended and not 0 < self.next_at - now <= self.plan.every_ms
