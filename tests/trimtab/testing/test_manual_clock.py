"""A clock that only a test turns."""

from __future__ import annotations

from trimtab.testing import ManualClock
from trimtab.testing.manual_clock import NEW_YEAR_2025


def test_it_stands_until_it_is_turned() -> None:
    clock = ManualClock()
    assert (clock(), clock()) == (NEW_YEAR_2025, NEW_YEAR_2025)
    assert clock.advance(250) == clock() == NEW_YEAR_2025 + 250
    assert ManualClock(1_000).advance(-1) == 999
