"""Units are counted exactly while they are remembered, and memory is bounded."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from producers.loggers.recent_units import RecentUnits


@given(st.lists(st.integers(0, 9)))
def test_few_units_are_counted_exactly(decisions: list[int]) -> None:
    units, counted = RecentUnits(10), Counter[int]()
    for unit in decisions:
        assert units.note(("span", unit)) == counted[unit]
        counted[unit] += 1


def test_the_unit_that_is_silent_longest_is_forgotten_and_counts_again() -> None:
    units = RecentUnits(2)
    assert [units.note(unit) for unit in "abacab"] == [0, 0, 1, 0, 2, 0], "b was forgotten when c came, a was not"


def test_memory_is_bounded() -> None:
    units = RecentUnits(100)
    for unit in range(1_000):
        units.note(unit)
    assert len(units._decisions) == 100
