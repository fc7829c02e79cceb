"""One batch of spooled events on its way to the broker: what came back, and when to try the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from producers.outgoing_event import OutgoingEvent


class ResendRound:
    """Collects the delivery reports of a batch; after a batch with a failure the next waits `retry_s`.

    Reports may come from any thread; `begin`, `finished`, `end` and `due` belong to one.
    """

    def __init__(self, retry_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._retry_s = retry_s
        self._clock = clock
        self._lock = threading.Lock()
        self._size = 0
        self._open = 0
        self._not_before = clock()
        self._undelivered: list[OutgoingEvent] = []
        self.refused: list[OutgoingEvent] = []
        """Events of the batch that the broker refused, though it may take them another time."""

    def due(self) -> bool:
        """Whether a new batch may begin: none is under way and the wait after a failure is over."""
        return self._size == 0 and self._clock() >= self._not_before

    def begin(self, size: int) -> None:
        """Starts a batch of `size` events, each of which must be settled."""
        with self._lock:
            self._size = self._open = size
            self._undelivered, self.refused = [], []

    def settle(self, event: OutgoingEvent, *, delivered: bool, refused: bool = False) -> None:
        """Notes what became of one event of the batch; `refused` says that the broker answered, and said no."""
        with self._lock:
            self._open -= 1
            if not delivered:
                (self.refused if refused else self._undelivered).append(event)

    def finished(self) -> bool:
        """Whether a batch is under way and all of its events are settled."""
        with self._lock:
            return self._size > 0 and self._open == 0

    def end(self) -> tuple[int, list[OutgoingEvent]]:
        """Ends the batch: the number delivered, and the events that were neither that nor refused.

        The next one waits, unless only some were refused: what comes after them need not wait for them.
        """
        with self._lock:
            undelivered = self._undelivered
            delivered = self._size - len(undelivered) - len(self.refused)
            self._size = 0
            if undelivered or not delivered:
                self._not_before = self._clock() + self._retry_s
            return delivered, undelivered
