"""Moments of blocks, combined, are those of all rows."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy import block_moments
from off_policy.block_moments import Moments, log_blocks
from off_policy.log_slices import LogSlices
from off_policy.logged_bandit import LoggedBandit

RNG = np.random.default_rng(8)
N = 400
OFFSET = 1e6
"""Values far from zero lose their digits in sums of squares that are not centred."""
EXPECTED = OFFSET + RNG.random((N, 2))
BASE = OFFSET + RNG.random((N, 2))
OWN, OF_BASE = np.arange(0, N, 7), np.arange(0, N, 3)
CORRECTIONS, BASE_CORRECTIONS = RNG.normal(size=(len(OWN), 2)), RNG.normal(size=(len(OF_BASE), 2))
OBSERVED = np.stack([np.ones(N, dtype=bool), RNG.random(N) < 0.6], axis=1)
COHORTS = RNG.choice(np.array(["A", "B", None], dtype=object), size=N)


def slices(units: np.ndarray | None = None) -> LogSlices:
    reward = np.where(OBSERVED, 0.0, np.nan)
    return LogSlices(LoggedBandit(np.zeros(N, dtype=int), np.ones(N), reward, OBSERVED, ("x", "y"), COHORTS, units))


def terms(values: np.ndarray, own: np.ndarray, corrections: np.ndarray) -> np.ndarray:
    found = values.copy()
    found[own] += corrections
    return found


@pytest.mark.parametrize("size", [1, 64, N])
def test_blocks_have_the_moments_of_all_rows(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_moments, "BLOCK_ROWS", size)
    whole = slices()
    found = Moments.zero((2, whole.cells))
    for block in log_blocks(whole, slice(0, N)):
        first, last = block.rows.start, block.rows.stop
        of_base, own = (slice(*np.searchsorted(each, (first, last))) for each in (OF_BASE, OWN))
        block.set_baseline(BASE[first:last], OF_BASE[of_base] - first, BASE_CORRECTIONS[of_base])
        found.add(block.moments(EXPECTED[first:last], OWN[own] - first, CORRECTIONS[own]))
    ours, base = terms(EXPECTED, OWN, CORRECTIONS), terms(BASE, OF_BASE, BASE_CORRECTIONS)
    for part in whole.slices():
        inside = part.inside(slice(None))
        rows = (np.ones(N, dtype=bool) if inside is None else inside, part.objective)
        x, gap, y = EXPECTED[rows], (ours - base)[rows], base[rows]
        moments = found.of(part.objective, part.cell)
        assert moments.n == len(x)
        np.testing.assert_allclose(moments.means, [x.mean(), gap.mean(), y.mean()], rtol=1e-13, atol=1e-13 * OFFSET)
        pairs = [(x, x), (gap, gap), (gap, y), (y, y)]
        products = [((a - a.mean()) * (b - b.mean())).sum() for a, b in pairs]
        np.testing.assert_allclose(moments.products, products, rtol=1e-8, atol=1e-8)


def test_expected_rewards_are_summed_by_the_units_of_cells() -> None:
    units = RNG.integers(30, size=N)
    whole = slices(units)
    assert whole.units is not None
    totals = np.zeros((2, len(whole.units.unit)))
    for block in log_blocks(whole, slice(0, N)):
        block.add_unit_totals(totals, EXPECTED[block.rows])
    for objective in range(2):
        weights = np.where(OBSERVED[:, objective], EXPECTED[:, objective], 0.0)
        np.testing.assert_allclose(totals[objective], np.bincount(whole.units.number, weights=weights))


def test_no_rows_change_nothing() -> None:
    [block] = log_blocks(slices(), slice(5, 5))
    none = np.zeros((0, 2))
    block.set_baseline(none, np.zeros(0, dtype=int), none)
    moments = block.moments(none, np.zeros(0, dtype=int), none)
    moments.add(Moments.zero(moments.n.shape))
    assert not moments.n.any() and not moments.products.any()
