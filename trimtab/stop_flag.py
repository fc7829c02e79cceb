"""A signal's wish that the process end, for whoever looks now and then.

A handler runs between two steps of the main thread, so it may take no lock that this thread can hold. An Event has one:
set by a handler while the same thread waits for it, it never returns.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

LOOK_SECONDS = 0.1


class StopFlag:
    """Whether the process was told to end by SIGTERM or SIGINT, by which first, and how long ago."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The first signal that told it."""
        self._told = 0.0
        self._interrupts = False

    def listen(self, *, interrupt: bool = False) -> None:
        """From here on the signals set the flag; call it from the main thread.

        With `interrupt` the first one also breaks into whatever that thread does, by a KeyboardInterrupt. Later ones
        must not break into the cleaning up.
        """
        self._interrupts = interrupt
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)

    def is_set(self) -> bool:
        """Whether it was told."""
        return self.signal is not None

    def check(self) -> None:
        """Raises KeyboardInterrupt once it was told.

        For those who are interrupted and wait: a handler's exception is lost where it strikes inside a finalizer or a
        callback of a C library.
        """
        if self.is_set():
            raise KeyboardInterrupt

    def seconds(self) -> float:
        """How long ago it was told; 0.0 before."""
        return time.monotonic() - self._told if self.is_set() else 0.0

    def wait(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds until it is told; whether it was."""
        deadline = time.monotonic() + timeout
        while not self.is_set() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, LOOK_SECONDS))
        return self.is_set()

    def _tell(self, number: int, _: FrameType | None) -> None:
        if self.signal is None:
            self._told, self.signal = time.monotonic(), number
            if self._interrupts:
                raise KeyboardInterrupt
