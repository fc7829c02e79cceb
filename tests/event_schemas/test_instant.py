"""Points in time: the clock counts milliseconds, any time can be shown, and a text is read exactly or refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.errors import SettingError
from event_schemas.instant import EPOCH, epoch_ms, moment_of, parse_instant, utc_text, wall_clock_ms

FIRST_MS, LAST_MS = epoch_ms(datetime.min), epoch_ms(datetime.max)


def test_the_clock_counts_milliseconds_since_the_epoch() -> None:
    before = time.time()
    assert before * 1000 - 1 <= wall_clock_ms() <= time.time() * 1000


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (1_700_000_000_999, "2023-11-14 22:13:20Z"),
        (-1, "1969-12-31 23:59:59Z"),
        (2**53, f"{2**53} ms"),
        (-(2**63), f"{-(2**63)} ms"),
    ],
)
def test_times_are_shown_whatever_they_are(moment: int, shown: str) -> None:
    assert utc_text(moment) == shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2019-11-24T00:00:34.762Z", 1_574_553_634_762),
        ("2019-11-24 00:00:34.762999+00:00", 1_574_553_634_762),
        ("2019-11-24T00:00:34.7629999999Z", 1_574_553_634_762),
        ("2019-11-24T09:00:34+09:00", 1_574_553_634_000),
        ("2019-11-24T00:00:34", 1_574_553_634_000),
        ("2019-11-24", 1_574_553_600_000),
        ("1969-12-31T23:59:59.9999Z", -1),
    ],
)
def test_a_text_is_read_down_to_the_millisecond(text: str, expected: int) -> None:
    assert parse_instant(text, "--since") == expected


@given(st.integers(FIRST_MS, LAST_MS), st.integers(0, 999), st.integers(-1439, 1439))
def test_every_millisecond_of_the_calendar_comes_back_from_any_zone(moment: int, micros: int, offset: int) -> None:
    assert epoch_ms(moment_of(moment)) == moment
    text = (moment_of(moment) + timedelta(microseconds=micros)).isoformat()
    assert parse_instant(text, "time") == moment
    try:
        elsewhere = moment_of(moment).astimezone(timezone(timedelta(minutes=offset)))
    except OverflowError:  # a day that this zone's calendar does not have
        return
    assert parse_instant(elsewhere.isoformat(), "time") == moment


def test_the_last_moments_of_the_calendar_are_no_fault_in_any_zone() -> None:
    west = timezone(timedelta(hours=-23))
    assert epoch_ms(datetime.max.replace(tzinfo=west)) == LAST_MS + 23 * 3_600_000
    assert datetime(1970, 1, 1, tzinfo=UTC) == EPOCH


@pytest.mark.parametrize("text", ["", "soon", "12:00", "2024-13-01", "2024-05-01T25:00", "1714564800000", "\ud800"])
def test_what_is_no_time_is_refused_with_the_option_that_gave_it(text: str) -> None:
    with pytest.raises(SettingError, match=r"^--since .* is not a time \| fix: write ISO 8601, such as "):
        parse_instant(text, "--since")
