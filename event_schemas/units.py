"""Units: time in milliseconds, memory in bytes."""

from __future__ import annotations

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS

KIBIBYTE = 1_024
MEBIBYTE = 1_024 * KIBIBYTE
