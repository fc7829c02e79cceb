"""Ctrl-C and polite kills, remembered.

A signal handler's exception is lost when it strikes inside a finalizer or a callback of a C library. So the request is
kept as well, and whoever waits asks for it.
"""

from __future__ import annotations

import signal
from types import FrameType


class StopRequest:
    """Whether this process was told to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def listen(self) -> None:
        """From here on SIGINT and SIGTERM ask for a stop; call it from the main thread."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raises KeyboardInterrupt when a stop was asked for."""
        if self.signal is not None:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Raises at the first signal; later ones must not break into the cleaning up."""
        del frame
        first, self.signal = self.signal is None, number
        if first:
            raise KeyboardInterrupt
