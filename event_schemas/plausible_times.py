"""Whether a time can be meant as it is read, and if not, which unit or spelling would make it so. Pure.

The judgement is relative to a reference time, usually now, so it also holds under a clock of a test near 0.
"""

from __future__ import annotations

import math
from datetime import datetime

from event_schemas.instant import epoch_ms, moment_of
from event_schemas.units import DAY_MS

LONGEST_PAST_MS = 3_660 * DAY_MS
"""Ten years: logs are replayed long after they were written."""

LONGEST_AHEAD_MS = DAY_MS
"""Clocks of hosts differ by minutes, and a wrong time zone by less than a day."""

UNIT_WORDS = {"ms": "milliseconds", "s": "seconds", "us": "microseconds", "ns": "nanoseconds", "d": "days"}
MS_PER_TICK = {"ms": (1, 1), "s": (1_000, 1), "us": (1, 1_000), "ns": (1, 1_000_000), "d": (DAY_MS, 1)}
"""Each unit as a fraction of milliseconds, so that whole numbers are converted exactly."""
DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def time_fault(
    time_ms: int | float,
    now_ms: int,
    *,
    name: str = "event_time",
    unit: str = "ms",
    longest_past_ms: int = LONGEST_PAST_MS,
    longest_ahead_ms: int = LONGEST_AHEAD_MS,
) -> str | None:
    """What is wrong with a time since the epoch, in one line; None if it can be meant as it is.

    `time_ms` is in milliseconds, unless `unit` (a key of `UNIT_WORDS`) says otherwise. It is at fault if it is more
    than `longest_past_ms` before or `longest_ahead_ms` after `now_ms`. The words name another unit, or a date written
    as digits, only if the number read so is within these bounds.
    """
    earliest, latest = now_ms - longest_past_ms, now_ms + longest_ahead_ms
    read_ms = in_milliseconds(time_ms, unit)
    if earliest <= read_ms <= latest:
        return None
    meant = likely_reading(time_ms, earliest, latest)
    told = f"{name} {time_ms} is {day_text(read_ms)}"
    if meant is not None:
        return f"{told}: it looks like {meant}; times are {UNIT_WORDS[unit]} since the epoch"
    if not finite(time_ms):
        return told
    return f"{told}, too long {'after' if read_ms > latest else 'before'} {day_text(now_ms)}"


def likely_reading(number: int | float, earliest_ms: int, latest_ms: int) -> str | None:
    """How a number must be read to be a time within the bounds: `seconds`, `a date written as digits`, …, or None."""
    unit = likely_unit(number, earliest_ms, latest_ms)
    if unit is not None:
        return UNIT_WORDS[unit]
    if finite(number) and earliest_ms <= (digits_date_ms(number) or math.inf) <= latest_ms:
        return "a date written as digits"
    return None


def likely_unit(number: int | float, earliest_ms: int, latest_ms: int) -> str | None:
    """The unit in which a number is a time since the epoch within the bounds, a key of `UNIT_WORDS`; None if none is.

    Milliseconds come first, so that a number that can be meant as milliseconds is.
    """
    if not finite(number):
        return None
    return next((unit for unit in UNIT_WORDS if earliest_ms <= in_milliseconds(number, unit) <= latest_ms), None)


def in_milliseconds(number: int | float, unit: str) -> int | float:
    """A number in `unit`, a key of `UNIT_WORDS`, as whole milliseconds, rounded down; infinite if it overflows."""
    millis, per = MS_PER_TICK[unit]
    scaled = number * millis
    return scaled // per if finite(scaled) else scaled


def digits_date_ms(number: int | float) -> int | None:
    """The time that digits such as 20191124, 201911241530 or 20191124153000 spell, UTC; None if they spell none."""
    if not finite(number) or not 0 < number < 10 ** max(DIGITS) or number != int(number):
        return None
    digits = str(int(number))
    spelling = DIGITS.get(len(digits))
    try:
        return None if spelling is None else epoch_ms(datetime.strptime(digits, spelling))
    except ValueError:
        return None


def day_text(time_ms: int | float) -> str:
    """`2019-11-24`, or words for a time outside the calendar."""
    if not finite(time_ms):
        return "not a finite number"
    try:
        return f"{moment_of(math.floor(time_ms)):%Y-%m-%d}"
    except OverflowError:
        return "after the year 9999" if time_ms > 0 else "before the year 1"


def finite(number: int | float) -> bool:
    """Whether a number is neither infinite nor NaN; an int of any size is finite."""
    return isinstance(number, int) or math.isfinite(number)
