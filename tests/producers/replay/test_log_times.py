"""Times of a log in every unit and spelling: read right, or refused with the unit that would be right."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.instant import epoch_ms, moment_of
from event_schemas.units import DAY_MS
from producers.replay.log_times import (
    EARLIEST_MS,
    FEWEST_ROWS,
    LATEST_MS,
    LogFileError,
    LogSpan,
    epoch_millis,
    number_in,
    read_time,
    require_plausible,
    span_of,
    time_fault_of,
)

UNITS = ["s", "ms", "us", "ns"]
PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
SECONDS = st.integers(EARLIEST_MS // 1_000, LATEST_MS // 1_000)
START = epoch_ms(datetime(2019, 11, 24, tzinfo=UTC))


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("2019-11-24 00:00:34.762830+00:00", "ms", 1_574_553_634_762),
        ("2019-11-24T00:00:34Z", "ms", 1_574_553_634_000),
        ("2019-11-24T09:00:34+09:00", "ms", 1_574_553_634_000),
        ("2019-11-24", "ms", 1_574_553_600_000),
        (datetime(2019, 11, 24, tzinfo=UTC), "ms", 1_574_553_600_000),
        (datetime(2019, 11, 24), "ms", 1_574_553_600_000),
        (1_574_553_634, "s", 1_574_553_634_000),
        (1_574_553_634.7629, "s", 1_574_553_634_762),
        (1_574_553_634_762, "ms", 1_574_553_634_762),
        ("1574553634762999", "us", 1_574_553_634_762),
        ("1574553634.5", "s", 1_574_553_634_500),
        (1_574_553_634_762_999_999, "ns", 1_574_553_634_762),
        (-1, "us", -1),
        (1e300, "s", None),
        ("1" * 400 + ".0", "s", None),
        ("yesterday", "ms", None),
        ("9" * 5_000, "ms", None),
        ("", "ms", None),
        (None, "ms", None),
        (True, "ms", None),
        (float("nan"), "s", None),
    ],
)
def test_times(value: Any, unit: str, expected: int | None) -> None:
    assert epoch_millis(value, unit) == expected


def written(seconds: int, unit: str, form: str) -> Any:
    """A time as a log writes it."""
    number = seconds * PER_SECOND[unit]
    match form:
        case "int":
            return number
        case "float":
            return float(number)
        case "text":
            return str(number)
        case "float text":
            return f"{number}.0"
        case "iso":
            return moment_of(seconds * 1_000).isoformat()
        case "datetime":
            return moment_of(seconds * 1_000)
        case _:
            return f"{moment_of(seconds * 1_000):{form}}"


NUMBERS = ["int", "float", "text", "float text"]


@given(SECONDS, st.sampled_from(UNITS), st.sampled_from([*NUMBERS, "iso", "datetime"]))
def test_a_time_in_the_declared_unit_is_read_exactly(seconds: int, unit: str, form: str) -> None:
    assert read_time("when", written(seconds, unit, form), unit) == seconds * 1_000


@given(SECONDS, st.sampled_from(UNITS), st.sampled_from(UNITS), st.sampled_from(NUMBERS))
def test_a_time_in_another_unit_is_refused_and_the_unit_named(
    seconds: int, unit: str, declared: str, form: str
) -> None:
    value = written(seconds, unit, form)
    if unit == declared:
        require_plausible("log", "when", declared, [(value, epoch_millis(value, declared))])
        return
    with pytest.raises(LogFileError, match=r"^log: row 0: when = ") as refused:
        require_plausible("log", "when", declared, [(value, epoch_millis(value, declared))])
    assert f'in time_unit "{declared}": it looks like ' in refused.value.what
    assert refused.value.fix.endswith(f'or set time_unit = "{unit}"')
    with pytest.raises(ValueError, match="it looks like"):
        read_time("when", value, declared)


@given(SECONDS, st.sampled_from(UNITS), st.sampled_from(["%Y%m%d", "%Y%m%d%H%M", "%Y%m%d%H%M%S"]), st.booleans())
def test_a_date_written_as_digits_is_refused_in_every_unit(seconds: int, unit: str, form: str, text: bool) -> None:
    digits = written(seconds, unit, form)
    fault = time_fault_of("when", digits if text else int(digits), unit)
    assert "it looks like a date written as digits | fix: write ISO 8601" in fault


def test_the_day_that_was_read_is_told() -> None:
    with pytest.raises(LogFileError) as refused:
        require_plausible("shop.csv", "when", "ms", [("20191124", 20_191_124), ("20191125", 20_191_125)])
    assert refused.value.what == (
        "shop.csv: row 0: when = '20191124' is 1970-01-01 in time_unit \"ms\": it looks like a date written as digits;"
        " so are 2 of 2 times in this column"
    )
    assert time_fault_of("when", 5, "s") == (
        "when = 5 is 1970-01-01, outside the years 1990 to 2099 | fix: write ISO 8601 or a number in time_unit"
    )


def test_a_few_wrong_times_refuse_no_file() -> None:
    good, wrong = (START, START), (0, 0)
    require_plausible("log", "when", "ms", [good, wrong, ("soon", None), (None, None)])
    with pytest.raises(LogFileError, match=r"row 1: .*2 of 3 times"):
        require_plausible("log", "when", "ms", [good, wrong, wrong, (None, None)])


@given(
    rows=st.integers(FEWEST_ROWS, 3_000),
    span_days=st.integers(0, 200),
    beyond_days=st.integers(1, 800),
    share=st.floats(0.01, 1),
    late=st.booleans(),
)
def test_few_rows_beyond_a_long_gap_are_outside(
    rows: int, span_days: int, beyond_days: int, share: float, late: bool
) -> None:
    few = max(1, int(share * (rows // 100)))
    bulk = START + np.linspace(0, span_days * DAY_MS, rows - few).astype(np.int64)
    gap = (max(30, span_days) + beyond_days) * DAY_MS
    odd = bulk[-1] + gap + np.arange(few) if late else bulk[0] - gap - np.arange(few)
    span = span_of(np.random.default_rng(rows).permutation(np.concatenate([bulk, odd])))
    assert all(int(time) in span for time in bulk)
    assert not any(int(time) in span for time in odd)
    fault = span.fault("when", int(odd[0]), "ms")
    side = "after the end" if late else "before the start"
    assert fault is not None and f"{max(30, span_days) + beyond_days} days {side} of the rest of the log" in fault


@given(rows=st.integers(0, 3_000), days=st.integers(0, 2_000), gap_days=st.integers(0, 29), few=st.integers(1, 30))
def test_a_log_without_a_long_gap_is_inside_whole(rows: int, days: int, gap_days: int, few: int) -> None:
    days = min(days, 30 * max(rows - 1, 0))  # so that no gap between two rows is longer than 30 days either
    bulk = START + np.linspace(0, days * DAY_MS, rows).astype(np.int64)
    tail = (int(bulk[-1]) if rows else START) + gap_days * DAY_MS + np.arange(few)
    span = span_of(np.concatenate([bulk, tail]))
    assert all(int(time) in span for time in (*bulk[:1], *bulk[-1:], *tail))


def test_two_long_parts_of_a_log_are_both_inside() -> None:
    part = START + np.arange(200) * DAY_MS // 100
    span = span_of(np.concatenate([part, part + 400 * DAY_MS]))
    assert START in span and int(part[-1]) + 400 * DAY_MS in span
    assert span_of(np.array([START, START + 400 * DAY_MS])) == LogSpan(), "too few rows to say which is odd"


@pytest.mark.parametrize(
    ("value", "number"),
    [("12", 12), ("-1.5", -1.5), (3, 3), (True, None), ("", None), (None, None), ("9" * 5_000, None), ("1e3", None)],
)
def test_a_number_is_a_number_or_spells_one(value: Any, number: float | None) -> None:
    assert number_in(value) == number
