"""Durations as people write them (`30m`, `14d`) and as the system counts them (milliseconds)."""

from __future__ import annotations

import re

from event_schemas.errors import SettingError
from event_schemas.shown_text import shown
from event_schemas.units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, WEEK_MS

UNITS_MS = {"ms": 1, "s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": WEEK_MS}
LONGEST_MS = 36_525 * DAY_MS
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")


def parse_duration(text: str) -> int:
    """Milliseconds in a duration such as `"30m"`, `"1h30m"`, `"250ms"` or `"0s"`.

    Raises ValueError if `text` is not a sequence of number-unit pairs with units ms, s, m, h, d, w, or if the duration
    is longer than `LONGEST_MS`, a hundred years: longer ones could make times overflow 64 bits.
    """
    compact = text.strip().replace(" ", "")
    parts = list(PART.finditer(compact))
    if not parts or "".join(part.group(0) for part in parts) != compact:
        raise ValueError(
            f"{shown(text)} is not a duration; write a number and a unit of ms, s, m, h, d or w, such as '30m'"
        )
    total = sum(float(part.group(1)) * UNITS_MS[part.group(2)] for part in parts)
    if total > LONGEST_MS:
        raise ValueError(f"a duration of {compact[:20]} is longer than {format_duration(LONGEST_MS)}")
    return round(total)


def duration_option(text: str, name: str) -> int:
    """Milliseconds in the duration that a command's option `name` was given; raises SettingError unless it is > 0."""
    try:
        found = parse_duration(text)
    except ValueError as fault:
        raise SettingError(f"{name}: {fault}", fix=f"give {name} a duration such as 1h or 30m") from fault
    if found == 0:
        raise SettingError(f"{name} is 0", fix=f"give {name} a duration such as 1h or 30m")
    return found


def format_duration(milliseconds: int) -> str:
    """The shortest text that `parse_duration` reads back as `milliseconds` (≥ 0)."""
    if milliseconds < 0:
        raise ValueError(f"a duration is at least 0 ms, not {milliseconds}")
    rest, text = milliseconds, ""
    for unit in ("w", "d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, UNITS_MS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"
