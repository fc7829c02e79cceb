"""Sums over few rows and moments of the others give the variances of all rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from off_policy.expected_rewards import CentredSums, ExpectedRewards
from off_policy.sampling_design import BY_ROW, SamplingDesign, UnitRows, inner

RNG = np.random.default_rng(5)
N = 90
VALUES = 4.0 + RNG.random(N)
UNITS = RNG.integers(25, size=N)


def sums(totals: np.ndarray, rows: np.ndarray | float, places: np.ndarray) -> CentredSums:
    """Of units of which only `places` are at hand."""
    each = np.broadcast_to(rows, totals.shape)
    at_hand = rows if isinstance(rows, float) else each[places]
    return CentredSums(
        totals[places],
        at_hand,
        inner(totals, totals),
        inner(totals, each),
        inner(each, each),
        len(places) == len(totals),
    )


@pytest.mark.parametrize("kept", [np.arange(0, N, 9), np.zeros(0, dtype=int), np.arange(N)])
@pytest.mark.parametrize("by_unit", [False, True])
def test_a_few_rows_and_moments_give_the_variances_of_all_rows(kept: np.ndarray, by_unit: bool) -> None:
    corrections = np.zeros(N)
    corrections[kept] = RNG.normal(size=len(kept)) * 5.0
    design = SamplingDesign(UNITS if by_unit else None)
    expected = ExpectedRewards.of(VALUES, design).variances(corrections, design)

    centred = VALUES - VALUES.mean()
    of_units = None
    if by_unit:
        sizes = np.bincount(UNITS).astype(float)
        few = UnitRows.of(N, sizes).design(len(kept), UNITS[kept])
        assert few.absent is not None and few.absent.places is not None
        of_units = sums(np.bincount(UNITS, weights=centred), sizes, few.absent.places)
    else:
        few = UnitRows.of(N, None).design(len(kept), None)
    moments = ExpectedRewards(N, VALUES.mean(), sums(centred, 1.0, kept), of_units)
    found = moments.variances(corrections[kept], few)
    assert found.by_row == pytest.approx(expected.by_row, rel=1e-12)
    assert found.by_unit == pytest.approx(expected.by_unit, rel=1e-12)
    assert expected.by_row == pytest.approx(np.var(VALUES + corrections, ddof=1) / N)


def test_corrections_that_cancel_leave_no_variance() -> None:
    whole = ExpectedRewards.of(VALUES, BY_ROW)
    assert whole.variances(1.0 - VALUES, BY_ROW).error == pytest.approx(0.0, abs=1e-15)


def test_one_row_has_no_variance() -> None:
    assert math.isnan(ExpectedRewards.of(np.ones(1), BY_ROW).variances(np.ones(1), BY_ROW).by_unit)
    assert math.isnan(ExpectedRewards.of(np.zeros(0), BY_ROW).mean)
