"""How long the outputs of the join wait for the broker's confirmation."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import Histogram


class WriteWatch:
    """Measures confirmations; all calls come from the thread that serves them. `clock` counts seconds."""

    def __init__(self, seconds: Histogram, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._moved = clock()

    def timed(self, confirmed: Callable[[int], None]) -> Callable[[int], None]:
        """The same function for the outputs of one chunk, noting when it is called, and how long that took at first."""
        began = self._clock()
        waiting = True

        def done(count: int) -> None:
            nonlocal waiting
            self._moved = self._clock()
            if waiting:
                waiting = False
                self._seconds.observe(self._moved - began)
            confirmed(count)

        return done

    def stalled_seconds(self, outstanding: int) -> float:
        """How long nothing has been confirmed although something waits; to be asked regularly."""
        now = self._clock()
        if not outstanding:
            self._moved = now
        return now - self._moved
