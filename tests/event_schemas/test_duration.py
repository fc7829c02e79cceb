"""Durations read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.duration import LONGEST_MS, duration_option, format_duration, parse_duration
from event_schemas.errors import SettingError


@pytest.mark.parametrize(
    ("text", "ms"),
    [("30m", 1_800_000), ("1h 30m", 5_400_000), ("250ms", 250), ("14d", 1_209_600_000), ("0s", 0), ("1.5s", 1500)],
)
def test_durations_people_write(text: str, ms: int) -> None:
    assert parse_duration(text) == ms


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "5 minutes", "1h,2m", "99999999999d", "9" * 400 + "d"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.integers(0, LONGEST_MS))
def test_formatting_is_read_back(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


def test_an_option_is_named_when_it_is_no_duration() -> None:
    assert duration_option("1h", "--every") == 3_600_000
    for text in ("soon", "0s", "30"):
        with pytest.raises(SettingError, match="--every"):
            duration_option(text, "--every")
