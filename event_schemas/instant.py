"""Points in time: now, as milliseconds since the epoch, as `datetime` and as text."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from event_schemas.errors import SettingError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def wall_clock_ms() -> int:
    """The machine's time in milliseconds since the epoch, UTC; the default of every `clock` argument."""
    return time.time_ns() // 1_000_000


def epoch_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, rounded down; a `moment` without a time zone is in UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MILLISECOND


def moment_of(epoch_ms: int) -> datetime:
    """The time in UTC; raises OverflowError for times before the year 1 or after 9999."""
    return EPOCH + epoch_ms * MILLISECOND


def parse_instant(text: str, name: str) -> int:
    """Milliseconds since the epoch of an ISO 8601 time, rounded as in `epoch_ms`; raises SettingError naming `name`.

    A date without a time means midnight; digits beyond microseconds are ignored.
    """
    try:
        return epoch_ms(datetime.fromisoformat(text))
    except ValueError as fault:
        raise SettingError(f"{name} {text!r} is not a time", fix="write ISO 8601, such as 2024-05-01T12:00Z") from fault


def utc_text(epoch_ms: int) -> str:
    """`2024-05-01 12:00:00Z`, or the number if it is out of range: a record in the store may hold any number."""
    try:
        return f"{moment_of(epoch_ms):%Y-%m-%d %H:%M:%SZ}"
    except OverflowError:
        return f"{epoch_ms} ms"


def utc_day(day: int) -> str:
    """`2024-05-01` for a day since the epoch, or the number if it is out of range."""
    try:
        return f"{EPOCH + timedelta(days=day):%Y-%m-%d}"
    except OverflowError:
        return f"day {day}"
