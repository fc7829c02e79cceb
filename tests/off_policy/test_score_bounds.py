"""Score bounds: Wilson's interval, MOVER and Fieller as special cases, and their limits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from off_policy.score_bounds import PairParts, ScorePart, lift_bounds, relative_bounds, value_bounds

Z = np.asarray(float(ndtri(0.975)))


def share(hits: float, trials: float, effect: float = 1.0) -> ScorePart:
    """A share of hits of 0 or 1: its binomial variance, times a design effect."""
    p, row = hits / trials, hits / trials * (1 - hits / trials) / trials
    numbers = (row * effect, row, row, (1 - 2 * p) / trials, 1 / trials)
    return ScorePart(*(np.asarray(each) for each in numbers))


def wilson(hits: float, trials: float) -> tuple[float, float]:
    """Written out as in Wilson (1927)."""
    p, z2 = hits / trials, float(Z) ** 2
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    reach = float(Z) * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return centre - reach, centre + reach


def pair(first: tuple[float, float], second: tuple[float, float]) -> PairParts:
    """Two independent shares of hits."""
    parts, nothing = [share(*first), share(*second)], share(0.0, 1.0)
    empty = ScorePart(*(np.zeros(()) for _ in range(5)))
    values = np.asarray(first[0] / first[1]), np.asarray(second[0] / second[1])
    assert nothing.variance == 0.0
    return PairParts(values, (parts[0].variance, np.zeros(()), parts[1].variance), parts[0], parts[1], empty)


@pytest.mark.parametrize(("hits", "trials"), [(0, 10), (3, 50), (50, 100), (99, 100), (100, 100)])
def test_of_even_weights_it_is_wilsons_interval(hits: float, trials: float) -> None:
    down, up = share(hits, trials).reach(Z)
    lower, upper = wilson(hits, trials)
    assert hits / trials - down == pytest.approx(lower, abs=1e-12)
    assert hits / trials + up == pytest.approx(upper, abs=1e-12)


def test_the_design_effect_divides_the_sample_size() -> None:
    np.testing.assert_allclose(share(20, 100, effect=2.0).reach(Z), share(10, 50).reach(Z), rtol=1e-12)
    np.testing.assert_allclose(share(20, 100, effect=0.5).reach(Z), share(20, 100).reach(Z), rtol=1e-12)


def test_a_value_is_never_narrower_than_the_delta_method() -> None:
    part = share(3, 100)
    lower, upper = value_bounds(np.asarray(0.03), part, Z)
    plain = float(Z) * math.sqrt(float(part.variance))
    assert lower == pytest.approx(0.03 - plain)
    assert upper == pytest.approx(wilson(3, 100)[1])
    assert upper > 0.03 + plain


def test_the_lift_of_independent_shares_is_mover_of_wilsons_intervals() -> None:
    """Zou and Donner (2008): Δ - sqrt((p1 - l1)² + (u2 - p2)²); for newcombe's 56/70 and 48/80 [.0524, .3339]."""
    lower, upper = lift_bounds(pair((56, 70), (48, 80)), Z)
    assert lower == pytest.approx(0.0524, abs=5e-5)
    plain = float(Z) * math.sqrt(0.8 * 0.2 / 70 + 0.6 * 0.4 / 80)
    assert upper == pytest.approx(0.2 + plain, abs=1e-9), "MOVER says .3339, the delta method is farther"


def test_zero_hits_on_both_sides_still_leave_doubt() -> None:
    lower, upper = lift_bounds(pair((0, 100), (0, 100)), Z)
    assert upper == pytest.approx(wilson(0, 100)[1])
    assert lower == pytest.approx(-wilson(0, 100)[1])


def test_a_ratio_has_the_sign_of_the_difference() -> None:
    for hits in (30, 60, 61, 62, 70, 90, 120):
        both = pair((hits, 1000), (60, 1000))
        lift, relative = lift_bounds(both, Z), relative_bounds(both, Z)
        assert (lift[1] < 0.0) == (relative[1] < 0.0)
        assert relative[0] < hits / 60 - 1 < relative[1]


def test_a_ratio_to_nearly_nothing_has_no_upper_bound() -> None:
    thin = pair((50, 100), (2, 100))
    assert relative_bounds(thin, Z)[1] < math.inf
    noisy = replace(thin, covariance=(*thin.covariance[:2], np.asarray(0.01)))
    assert relative_bounds(noisy, Z)[1] == math.inf
    assert np.isnan(relative_bounds(pair((50, 100), (0, 100)), Z)).all()


def test_a_ratio_of_large_samples_is_that_of_the_delta_method() -> None:
    """With 1e8 rows a side the relative error is sqrt(1/20e6 - 1/1e8 + 1/10e6 - 1/1e8)."""
    lower, upper = relative_bounds(pair((20e6, 1e8), (10e6, 1e8)), Z)
    error = 2 * math.sqrt(1 / 20e6 + 1 / 10e6 - 2 / 1e8)
    assert upper - 1 == pytest.approx(float(Z) * error, rel=2e-3)
    assert 1 - lower == pytest.approx(float(Z) * error, rel=2e-3)


def test_the_excess_of_all_parts_at_once_is_that_of_each() -> None:
    parts = share(3, 100), share(20, 80, effect=2.0), share(50, 90)
    pair_of_three = replace(pair((3, 100), (20, 80)), more=parts[0], less=parts[1], common=parts[2])
    found = pair_of_three.excess(Z)
    np.testing.assert_allclose(found.more, parts[0].excess(Z), rtol=1e-12)
    np.testing.assert_allclose(found.less, parts[1].excess(Z), rtol=1e-12)
    np.testing.assert_allclose(found.common, np.maximum(*parts[2].excess(Z)), rtol=1e-12)
    for bounds in (lift_bounds, relative_bounds):
        np.testing.assert_array_equal(bounds(pair_of_three, Z, found), bounds(pair_of_three, Z))
