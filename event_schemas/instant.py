"""Points in time: now, and as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def wall_clock_ms() -> int:
    """The machine's time in epoch milliseconds, UTC: the default of every `clock` argument."""
    return time.time_ns() // 1_000_000


def utc_text(epoch_ms: int) -> str:
    """`2024-05-01 12:00:00Z`; the number itself for a time no calendar has (times in a store may be anybody's)."""
    try:
        return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{epoch_ms} ms"
