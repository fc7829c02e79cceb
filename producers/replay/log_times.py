"""Times of other systems' logs: how they are read, and whether they can be meant as they are read.

- A time is read as ISO 8601, or as a number in the unit that the mapping names.
- It must be in the years 1990 to 2099. A number outside them is in another unit, or is a date written as digits.
- If that is so for most times of a column, the mapping is wrong, and the file is refused before anything is written.
- At most a hundredth of the rows at either end of a log are outside its span if a gap separates them from the rest that
  is longer than 30 days and than the whole span of the rest. Such a row is a bad row: a single one would move the
  learner's windows away from all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.errors import SettingError, TrimtabError
from event_schemas.instant import epoch_ms, parse_instant
from event_schemas.number_bounds import EXACT_INTEGERS
from event_schemas.plausible_times import UNIT_WORDS, day_text, finite, in_milliseconds, likely_reading, likely_unit
from event_schemas.shown_text import shown
from event_schemas.units import DAY_MS

NUMBER = re.compile(r"-?\d+(\.\d+)?")
UNITS = frozenset({"s", "ms", "us", "ns"})
LAST_MILLIS = EXACT_INTEGERS
"""About the year 287,000: event time plus any window fits into 64 bits."""
EARLIEST_MS = epoch_ms(datetime(1990, 1, 1, tzinfo=UTC))
LATEST_MS = epoch_ms(datetime(2100, 1, 1, tzinfo=UTC)) - 1
FEWEST_ROWS = 10
SHORTEST_GAP_MS = 30 * DAY_MS
OUTSIDE_SHARE = 100


class LogFileError(TrimtabError):
    """A log file that cannot be read, lacks a mapped column, or has times that cannot be right."""


@dataclass(frozen=True, slots=True)
class LogSpan:
    """The first and last time (epoch ms) that a row of one log may have."""

    earliest: int = EARLIEST_MS
    latest: int = LATEST_MS

    def __contains__(self, time_ms: int) -> bool:
        """Whether a row may have this time."""
        return self.earliest <= time_ms <= self.latest

    def fault(self, column: str, value: Any, unit: str) -> str | None:
        """Why a row with this time is a bad row, and the fix, in one line; None if it is not."""
        time = epoch_millis(value, unit)
        if time is None or not EARLIEST_MS <= time <= LATEST_MS:
            return time_fault_of(column, value, unit)
        if time in self:
            return None
        end, side = (self.latest, "after the end") if time > self.latest else (self.earliest, "before the start")
        return (
            f"{column} = {shown(value)} is {day_text(time)}, {abs(time - end) // DAY_MS} days {side} of the rest of the"
            f" log, {day_text(end)} | fix: correct the time; if it is right, replay that part as a file of its own"
        )


def span_of(times: NDArray[np.int64]) -> LogSpan:
    """The span of a log with these times (epoch ms, any order), without the few rows beyond a long gap."""
    inside = np.sort(times[(times >= EARLIEST_MS) & (times <= LATEST_MS)])
    if inside.size < FEWEST_ROWS:
        return LogSpan()
    few = max(1, inside.size // OUTSIDE_SHARE)
    longest = max(SHORTEST_GAP_MS, int(inside[-1 - few] - inside[few]))
    first, last = inside[: few + 1], inside[-1 - few :]
    before, after = np.flatnonzero(np.diff(first) > longest), np.flatnonzero(np.diff(last) > longest)
    return LogSpan(
        int(first[before[-1] + 1]) if before.size else EARLIEST_MS, int(last[after[0]]) if after.size else LATEST_MS
    )


def require_plausible(file: str, column: str, unit: str, cells: Iterable[tuple[Any, int | None]]) -> None:
    """Raises LogFileError if most times of a column cannot be meant as they are read.

    `cells` are the values in the order of the rows, with the times (epoch ms) that they are read as. Values that are
    no times in any unit do not count: such a row is a bad row, whatever the unit.
    """
    count, wrong, first = 0, 0, None
    for number, (value, time) in enumerate(cells):
        if time is None and number_in(value) is None:
            continue
        count += 1
        if time is None or not EARLIEST_MS <= time <= LATEST_MS:
            wrong, first = wrong + 1, first or (number, value)
    if first is not None and 2 * wrong > count:
        number, value = first
        what, _, fix = str(time_fault_of(column, value, unit)).partition(" | fix: ")
        raise LogFileError(f"{file}: row {number}: {what}; so are {wrong} of {count} times in this column", fix=fix)


def read_time(column: str, value: Any, unit: str) -> int:
    """The time in epoch ms; raises ValueError, with the fix, if it is no time or cannot be meant as it is read."""
    fault = LogSpan().fault(column, value, unit)
    if fault is not None:
        raise ValueError(fault)
    time = epoch_millis(value, unit)
    assert time is not None
    return time


def time_fault_of(column: str, value: Any, unit: str) -> str:
    """What is wrong with a value that is no time, or one outside the years that count, and the fix, in one line."""
    time, number = epoch_millis(value, unit), number_in(value)
    told = f"{column} = {shown(value)} is {'not a time' if time is None else day_text(time)}"
    meant = None if number is None else likely_reading(number, EARLIEST_MS, LATEST_MS)
    if number is None or meant is None:
        outside = "" if time is None else ", outside the years 1990 to 2099"
        return f"{told}{outside} | fix: write ISO 8601 or a number in time_unit"
    told = f'{told} in time_unit "{unit}": it looks like {meant}'
    right = likely_unit(number, EARLIEST_MS, LATEST_MS)
    if right in UNITS:
        return f'{told} | fix: write {UNIT_WORDS[unit]}, or set time_unit = "{right}"'
    return f"{told} | fix: write ISO 8601, such as 2019-11-24, or a number in time_unit"


def epoch_millis(value: Any, unit: str) -> int | None:
    """A time from a log as milliseconds since the epoch, rounded down; None when the value is not a time.

    Reads datetimes and ISO 8601 texts (UTC unless they say otherwise), and numbers, or texts that are
    numbers, in `unit` ("s", "ms", "us" or "ns"). Numbers beyond ±`LAST_MILLIS` do not count as times.
    """
    if isinstance(value, datetime):
        return epoch_ms(value)
    number = number_in(value)
    if number is not None:
        millis = in_milliseconds(number, unit)
        return int(millis) if abs(millis) <= LAST_MILLIS else None
    try:
        return parse_instant(value, "time") if isinstance(value, str) and NUMBER.fullmatch(value) is None else None
    except SettingError:
        return None


def number_in(value: Any) -> int | float | None:
    """The finite number that a value is or spells; None for anything else, and for thousands of digits."""
    if isinstance(value, str) and NUMBER.fullmatch(value) is not None:
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not finite(value):
        return None
    return value
