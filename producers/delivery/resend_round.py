"""One batch of spooled events sent to the broker: the outcome of each, and when to send the next batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from producers.delivery.outgoing_event import OutgoingEvent

ResendOutcome = Literal["delivered", "refused", "expired", "timed_out", "undelivered"]
"""`refused`: the broker refused the event but may accept it later. `expired`: it has refused for too long.
`undelivered`: the event was not sent."""


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """Where the undelivered events of a batch go: they stay `first` in line, go `last`, or are set `aside`."""

    first: list[OutgoingEvent] = field(default_factory=list)
    last: list[OutgoingEvent] = field(default_factory=list)
    aside: list[OutgoingEvent] = field(default_factory=list)


class ResendRound:
    """Collects the delivery reports of a batch; after a batch with a failure the next one waits `retry_s`.

    Reports may come from any thread; call `begin`, `finished`, `end` and `due` from one thread only.
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
        """Number of events in the current batch; 0 when there is none."""

    def due(self) -> bool:
        """Whether a new batch may begin: none is in progress and the wait after a failure is over."""
        return self.size == 0 and self._clock() >= self._not_before

    def start_batch(self, size: int) -> None:
        """Starts a batch of `size` events, each of which must be settled."""
        with self._lock:
            self.size = self._open = size
            self._outcomes, self._heard = [], False

    def note(self, event: OutgoingEvent, outcome: ResendOutcome) -> None:
        """Notes the outcome of one event of the batch."""
        with self._lock:
            self._open -= 1
            self._outcomes.append((event, outcome))

    def hear(self) -> None:
        """Notes that the broker accepted another event during the batch: a timeout is then not the broker's absence."""
        self._heard = True

    def finished(self) -> bool:
        """Whether a batch is in progress and all of its events are settled."""
        with self._lock:
            return self.size > 0 and self._open == 0

    def end_batch(self, answers: Callable[[], bool] = lambda: False) -> RoundEnd:
        """Ends the batch. The next one waits `retry_s` if no event was delivered or an event stays first in line.

        Events that timed out stay first in line while the broker may be absent. If it accepted or refused other events
        in the meantime, or `answers()` now, it is present, and they go last so that they hold up no others.
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
