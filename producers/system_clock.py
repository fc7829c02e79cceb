"""The wall clock of a process, as the default of every `clock` argument."""

from __future__ import annotations

import time


def system_millis() -> int:
    """Milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000
