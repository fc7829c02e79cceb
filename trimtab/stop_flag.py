"""A signal's wish that the process end, for whoever looks now and then.

A handler runs between two steps of the main thread, so it may take no lock that this thread can hold. An Event has one:
set by a handler while the same thread waits for it, it never returns.
"""

from __future__ import annotations

import signal
import time

LOOK_SECONDS = 0.1


class StopFlag:
    """Whether the process was told to end by SIGTERM or SIGINT, and how long ago."""

    def __init__(self) -> None:
        self._told: float | None = None

    def listen(self) -> None:
        """From here on the signals set the flag; call it from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def is_set(self) -> bool:
        """Whether it was told."""
        return self._told is not None

    def seconds(self) -> float:
        """How long ago it was told; 0.0 before."""
        return 0.0 if self._told is None else time.monotonic() - self._told

    def wait(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds until it is told; whether it was."""
        deadline = time.monotonic() + timeout
        while not self.is_set() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
        return self.is_set()

    def _tell(self, *_: object) -> None:
        if self._told is None:
            self._told = time.monotonic()
