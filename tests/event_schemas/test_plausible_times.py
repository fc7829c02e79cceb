"""Times that cannot be meant as they are read: the fault names the day and, only if one fits, the unit."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.instant import epoch_ms
from event_schemas.plausible_times import (
    LONGEST_AHEAD_MS,
    LONGEST_PAST_MS,
    day_text,
    digits_date_ms,
    in_milliseconds,
    likely_reading,
    likely_unit,
    time_fault,
)
from event_schemas.units import DAY_MS

NOW = epoch_ms(datetime(2026, 11, 29, tzinfo=UTC))
PLAUSIBLE = st.integers(NOW - LONGEST_PAST_MS, NOW + LONGEST_AHEAD_MS)
IN_UNIT = {"s": lambda ms: ms / 1_000, "us": lambda ms: ms * 1_000, "ns": lambda ms: ms * 1_000_000}
WORDS = {"s": "seconds", "us": "microseconds", "ns": "nanoseconds"}


@given(PLAUSIBLE)
def test_a_time_within_the_bounds_is_no_fault(time: int) -> None:
    assert time_fault(time, NOW) is None
    assert time_fault(float(time), NOW) is None
    assert likely_unit(time, NOW - LONGEST_PAST_MS, NOW + LONGEST_AHEAD_MS) == "ms"


@given(PLAUSIBLE, st.sampled_from(sorted(IN_UNIT)), st.booleans())
def test_a_time_in_another_unit_is_named_by_that_unit(time: int, unit: str, whole: bool) -> None:
    time = time // 1_000 * 1_000 if whole else time
    number = IN_UNIT[unit](time)
    number = int(number) if whole else number
    earliest, latest = NOW - LONGEST_PAST_MS - 1_000, NOW + LONGEST_AHEAD_MS + 1_000
    assert likely_unit(number, earliest, latest) == unit
    fault = time_fault(number, NOW, longest_past_ms=LONGEST_PAST_MS + 1_000, longest_ahead_ms=LONGEST_AHEAD_MS + 1_000)
    assert fault is not None
    assert f": it looks like {WORDS[unit]}; times are milliseconds since the epoch" in fault


@given(PLAUSIBLE, st.sampled_from(["%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S"]))
def test_a_date_written_as_digits_is_named(time: int, spelling: str) -> None:
    number = int(f"{datetime.fromtimestamp(time / 1_000, UTC):{spelling}}")
    fault = time_fault(number, NOW, longest_past_ms=LONGEST_PAST_MS + DAY_MS)
    assert fault is not None
    assert "a date written as digits" in fault


def test_the_words_are_those_of_the_example() -> None:
    assert time_fault(1_574_553_600, NOW) == (
        "event_time 1574553600 is 1970-01-19: it looks like seconds; times are milliseconds since the epoch"
    )
    assert time_fault(20191124, NOW, name="when") == (
        "when 20191124 is 1970-01-01: it looks like a date written as digits; times are milliseconds since the epoch"
    )


@pytest.mark.parametrize(
    ("time", "told"),
    [
        (NOW + DAY_MS + 1, "is 2026-11-30, too long after 2026-11-29"),
        (NOW - LONGEST_PAST_MS - 1, "is 2016-11-20, too long before 2026-11-29"),
        (2**62, "is after the year 9999, too long after 2026-11-29"),
        (-(2**62), "is before the year 1, too long before 2026-11-29"),
        (10**400, "is after the year 9999, too long after 2026-11-29"),
        (math.nan, "event_time nan is not a finite number"),
        (math.inf, "event_time inf is not a finite number"),
    ],
)
def test_without_a_unit_that_fits_only_the_day_is_told(time: float, told: str) -> None:
    fault = time_fault(time, NOW)
    assert fault is not None
    assert told in fault
    assert "looks like" not in fault


@given(st.integers(0, 10 * DAY_MS), st.integers(-DAY_MS, DAY_MS))
def test_under_a_clock_near_0_small_times_can_be_meant(now: int, away: int) -> None:
    assert time_fault(now + away, now) is None
    assert time_fault(now + LONGEST_AHEAD_MS + 1, now) is not None


@given(st.integers(1, DAY_MS))
def test_a_time_of_a_test_clock_is_no_unit_mistake_of_today(time: int) -> None:
    fault = time_fault(time, NOW)
    assert fault is not None
    near = likely_reading(time, NOW - LONGEST_PAST_MS, NOW + LONGEST_AHEAD_MS)
    assert ("looks like" in fault) == (near is not None)


@given(st.integers(1, 2**63) | st.floats(1, allow_nan=False, allow_infinity=False))
def test_every_named_unit_brings_the_number_into_the_bounds(number: float) -> None:
    earliest, latest = NOW - LONGEST_PAST_MS, NOW + LONGEST_AHEAD_MS
    unit = likely_unit(number, earliest, latest)
    if unit is not None:
        millis = number * {"s": 1_000, "ms": 1, "us": 1e-3, "ns": 1e-6, "d": DAY_MS}[unit]
        assert earliest * (1 - 1e-9) <= millis <= latest * (1 + 1e-9)


@pytest.mark.parametrize(
    ("number", "unit", "millis"),
    [
        (1_574_553_634, "s", 1_574_553_634_000),
        (1_574_553_634.7629, "s", 1_574_553_634_762),
        (1_574_553_634_762_999_999, "ns", 1_574_553_634_762),
        (1_574_553_634_762_000, "us", 1_574_553_634_762),
        (-1, "us", -1),
        (18_224, "d", 1_574_553_600_000),
        (1e308, "d", math.inf),
    ],
)
def test_a_number_in_any_unit_in_milliseconds(number: float, unit: str, millis: float) -> None:
    assert in_milliseconds(number, unit) == millis


def test_a_time_in_a_unit_of_its_own_is_judged_in_it() -> None:
    assert time_fault(NOW // 1_000, NOW, unit="s") is None
    fault = time_fault(NOW, NOW, name="at", unit="s")
    assert fault == f"at {NOW} is after the year 9999: it looks like milliseconds; times are seconds since the epoch"


@pytest.mark.parametrize(
    ("number", "day"),
    [
        (20191124, "2019-11-24"),
        (20191124.0, "2019-11-24"),
        (20191324, None),
        (2019112, None),
        (math.nan, None),
        (10**400, None),
        (0, None),
    ],
)
def test_digits_spell_a_date_or_none(number: float, day: str | None) -> None:
    found = digits_date_ms(number)
    assert (None if found is None else day_text(found)) == day
