"""A clock that stands still until a test advances it."""

from __future__ import annotations

import threading

NEW_YEAR_2025 = 1_735_689_600_000


class ManualClock:
    """Epoch milliseconds, for wherever a `clock` is asked for. Safe across threads."""

    def __init__(self, now_ms: int = NEW_YEAR_2025) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return self._now_ms

    def advance(self, milliseconds: int) -> int:
        """Advance the clock (a negative number turns it back) and return the new time."""
        with self._lock:
            self._now_ms += milliseconds
            return self._now_ms
