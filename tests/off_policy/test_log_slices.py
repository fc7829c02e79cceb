"""Every slice holds its rows and units, and sums by cell add up to those of slices."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.log_slices import LogSlice, LogSlices
from off_policy.logged_bandit import LoggedBandit

RNG = np.random.default_rng(2)
N = 300
UNITS = RNG.integers(40, size=N) * 3
"""Of the numbers up to 117, a third is used."""
COHORTS = RNG.choice(np.array(["B", "A", None], dtype=object), size=N)
OBSERVED = np.stack([np.ones(N, dtype=bool), RNG.random(N) < 0.7], axis=1)


def slices(cohort: np.ndarray | None = COHORTS, units: np.ndarray | None = UNITS) -> LogSlices:
    reward = np.where(OBSERVED, RNG.random((N, 2)), np.nan)
    return LogSlices(LoggedBandit(np.zeros(N, dtype=int), np.ones(N), reward, OBSERVED, ("x", "y"), cohort, units))


def rows_of(part: LogSlice) -> np.ndarray:
    inside = part.inside(slice(None))
    return np.arange(N) if inside is None else np.flatnonzero(inside)


@pytest.mark.parametrize("units", [None, UNITS])
@pytest.mark.parametrize("cohort", [None, COHORTS])
def test_a_slice_has_the_observed_rows_of_its_cohort(cohort: np.ndarray | None, units: np.ndarray | None) -> None:
    found = slices(cohort, units).slices()
    names = [None] if cohort is None else [None, "A", "B"]
    assert [(part.cohort, part.name) for part in found] == [(cohort, name) for cohort in names for name in "xy"]
    for part in found:
        scope = np.ones(N, dtype=bool) if part.cohort is None or cohort is None else cohort == part.cohort
        rows = np.flatnonzero(scope & OBSERVED[:, part.objective])
        np.testing.assert_array_equal(rows_of(part), rows)
        rewards = part.of.log.reward[rows, part.objective]
        assert (part.whole.rows, part.whole.positives) == (len(rows), int((rewards > 0).sum()))
        assert part.whole.reward_sum == pytest.approx(rewards.sum())
        assert part.whole.reward_squares == pytest.approx(np.square(rewards).sum())


@pytest.mark.parametrize("cohort", [None, COHORTS])
def test_units_are_counted_in_each_slice(cohort: np.ndarray | None) -> None:
    for part in slices(cohort).slices():
        rows = rows_of(part)
        numbers, by_unit = part.units_of(rows), part.unit_rows.by_unit
        assert numbers is not None and by_unit is not None
        assert len({*zip(numbers, UNITS[rows], strict=True)}) == len(set(UNITS[rows])) == len(set(numbers))
        np.testing.assert_array_equal(np.bincount(numbers, minlength=len(by_unit)), by_unit)
        assert part.unit_rows.squares == pytest.approx(np.square(np.bincount(UNITS[rows])).sum())


def test_sums_over_the_units_of_cells_are_summed_for_a_slice() -> None:
    whole = slices()
    assert whole.units is not None
    terms = RNG.random(N)
    totals = np.bincount(whole.units.number, weights=terms, minlength=len(whole.units.unit)).astype(np.float64)
    for part in whole.slices():
        rows = np.arange(N) if part.cohort is None else np.flatnonzero(part.cohort == COHORTS)
        numbers, found = part.units_of(rows), part.by_unit(totals)
        assert numbers is not None
        expected = np.bincount(numbers, weights=terms[rows], minlength=len(found)).astype(np.float64)
        np.testing.assert_allclose(found, expected)


def test_without_units_or_rows() -> None:
    part = slices(units=None).slices()[0]
    assert part.units_of(np.arange(5)) is None
    assert part.unit_rows.by_unit is None
    none, nobody = np.zeros((0, 1)), np.zeros(0, dtype=int)
    empty = LoggedBandit(nobody, np.zeros(0), none, none.astype(bool), ("x",), None, nobody)
    [alone] = LogSlices(empty).slices()
    assert alone.whole.rows == alone.unit_rows.rows == 0
