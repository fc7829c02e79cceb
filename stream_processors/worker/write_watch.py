"""Measures how long the join's outputs wait for the broker's confirmation."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import Histogram


class WriteWatch:
    """Measures the time to confirmation; all calls come from one thread. `clock` counts seconds."""

    def __init__(self, seconds: Histogram, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._moved = clock()

    def timed(self, confirmed: Callable[[int], None]) -> Callable[[int], None]:
        """Wrap the function for one group of outputs: note every confirmation, and observe the time to the first."""
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
        """How long outputs have waited without any confirmation; must be called regularly."""
        now = self._clock()
        if not outstanding:
            self._moved = now
        return now - self._moved
