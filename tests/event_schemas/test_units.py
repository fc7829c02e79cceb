"""The units are those that people write in the experiment file."""

from __future__ import annotations

import pytest

from event_schemas.duration import parse_duration
from event_schemas.units import DAY_MS, HOUR_MS, KIBIBYTE, MEBIBYTE, MINUTE_MS, SECOND_MS, WEEK_MS


@pytest.mark.parametrize(
    ("text", "unit"), [("1s", SECOND_MS), ("1m", MINUTE_MS), ("1h", HOUR_MS), ("1d", DAY_MS), ("1w", WEEK_MS)]
)
def test_a_unit_of_time_is_what_a_duration_reads(text: str, unit: int) -> None:
    assert parse_duration(text) == unit


def test_units_of_memory_are_powers_of_two() -> None:
    assert (KIBIBYTE, MEBIBYTE) == (2**10, 2**20)
