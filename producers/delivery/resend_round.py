"""One batch of spooled events on its way to the broker: what came back, and when to try the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from producers.delivery.outgoing_event import OutgoingEvent

ResendOutcome = Literal["delivered", "refused", "expired", "timed_out", "undelivered"]
"""`refused`: the broker said no, and may take it another time. `expired`: it has said no for too long. `undelivered`:
the event was not sent."""


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """Where the events of a batch go that were not delivered: `first` in line as they were, `last`, or set `aside`."""

    first: list[OutgoingEvent] = field(default_factory=list)
    last: list[OutgoingEvent] = field(default_factory=list)
    aside: list[OutgoingEvent] = field(default_factory=list)


class ResendRound:
    """Collects the delivery reports of a batch; after a batch with a failure the next waits `retry_s`.

    Reports may come from any thread; `begin`, `finished`, `end` and `due` belong to one.
    """

    def __init__(self, retry_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._retry_s = retry_s
        self._clock = clock
        self._lock = threading.Lock()
        self._open = 0
        self._not_before = clock()
        self._outcomes: list[tuple[OutgoingEvent, ResendOutcome]] = []
        self._heard = False
        self.size = 0
        """Events of the batch under way."""

    def due(self) -> bool:
        """Whether a new batch may begin: none is under way and the wait after a failure is over."""
        return self.size == 0 and self._clock() >= self._not_before

    def start_batch(self, size: int) -> None:
        """Starts a batch of `size` events, each of which must be settled."""
        with self._lock:
            self.size = self._open = size
            self._outcomes, self._heard = [], False

    def note(self, event: OutgoingEvent, outcome: ResendOutcome) -> None:
        """Notes what became of one event of the batch."""
        with self._lock:
            self._open -= 1
            self._outcomes.append((event, outcome))

    def hear(self) -> None:
        """Notes that the broker took something else meanwhile: what times out now does so for reasons of its own."""
        self._heard = True

    def finished(self) -> bool:
        """Whether a batch is under way and all of its events are settled."""
        with self._lock:
            return self.size > 0 and self._open == 0

    def end_batch(self, answers: Callable[[], bool] = lambda: False) -> RoundEnd:
        """Ends the batch; the next one waits, unless this one got something through.

        What timed out stays first in line while the broker may be away. A broker that took or refused other events
        meanwhile is there, or one that `answers()` now: then it goes last, and holds up nothing.
        """
        with self._lock:
            by = {
                outcome: [event for event, each in self._outcomes if each == outcome] for _, outcome in self._outcomes
            }
            self.size, self._outcomes = 0, []
        timed_out, undelivered = by.get("timed_out", []), by.get("undelivered", [])
        late = bool(timed_out) and (self._heard or not by.keys() <= {"timed_out", "undelivered"} or answers())
        first = undelivered if late else [*timed_out, *undelivered]
        if first or "delivered" not in by:
            self._not_before = self._clock() + self._retry_s
        last = [*by.get("refused", []), *(timed_out if late else [])]
        return RoundEnd(first, last, by.get("expired", []))
