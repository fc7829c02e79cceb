"""A flag that SIGTERM and SIGINT set to ask the process to stop; the main loop polls it.

A signal handler interrupts the main thread, so it must not take a lock that this thread may hold. threading.Event has
such a lock: if a handler sets it while the same thread is waiting for it, `set` never returns.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

LOOK_SECONDS = 0.1


class StopFlag:
    """Whether SIGTERM or SIGINT has told the process to stop, by which first, and how long ago."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first signal that told it."""
        self._told = 0.0
        self._interrupts = False

    def listen(self, *, interrupt: bool = False) -> None:
        """Installs handlers that set the flag. Call it from the main thread.

        With `interrupt` the first signal also interrupts that thread with a KeyboardInterrupt. Later ones must not
        interrupt the clean-up.
        """
        self._interrupts = interrupt
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def is_set(self) -> bool:
        """Whether the process was told to stop."""
        return self.signal is not None

    def check(self) -> None:
        """Raises KeyboardInterrupt when a stop was requested.

        For code that waits: an exception raised in a signal handler is lost when it interrupts a finalizer or a
        callback of a C library.
        """
        if self.is_set():
            raise KeyboardInterrupt

    def seconds(self) -> float:
        """Seconds since the process was told to stop; 0.0 if it was not."""
        return time.monotonic() - self._told if self.is_set() else 0.0

    def wait(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds for the flag; returns whether it is set."""
        deadline = time.monotonic() + timeout
        while not self.is_set() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
        return self.is_set()

    def _tell(self, number: int, _: FrameType | None) -> None:
        if self.signal is None:
            self._told, self.signal = time.monotonic(), number
            if self._interrupts:
                raise KeyboardInterrupt
