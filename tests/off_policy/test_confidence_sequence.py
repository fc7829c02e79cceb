"""Bounds that hold at every look: on Brownian motion, against one look, and as lifts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from off_policy.confidence_sequence import TUNED_LIFT, ArmMean, lift_bounds, sequence_multiplier, welch_freedom

MANY = np.asarray(1e12)


def mean(value: float, error: float, users: float = 1e12) -> ArmMean:
    return ArmMean(np.asarray(value), np.asarray(error**2), np.asarray(users))


@pytest.mark.parametrize("error", [0.05, 0.0125])
def test_brownian_motion_rarely_crosses_at_any_of_thousands_of_looks(error: float) -> None:
    """Information from 0.1 to 1,000 in 2,000 looks; a bound for one look is crossed in half of the paths."""
    rng, looks, paths = np.random.default_rng(1), np.geomspace(0.1, 1000.0, 2000), 4000
    path = np.cumsum(rng.normal(size=(paths, len(looks))) * np.sqrt(np.diff(looks, prepend=0.0)), axis=1)
    z = path / np.sqrt(looks)
    crossed = float((z > sequence_multiplier(looks, error)).any(axis=1).mean())
    assert 0.3 * error < crossed < error
    if error == 0.05:
        assert float((z > 1.645).any(axis=1).mean()) > 0.4


def test_it_is_robbins_mixture_but_for_a_bound_on_one_term() -> None:
    """The mixture over the positive half of N(0, 1): 2 Φ(y) exp(y²/2) / √(1 + x) = 1/α, y = z √(x/(1 + x))."""
    for x in (0.5, 8.0, 300.0):
        for error in (0.05, 0.01):

            def excess(y: float, x: float = x, error: float = error) -> float:
                return float(2.0 * ndtr(y) * np.exp(y * y / 2.0) / np.sqrt(1.0 + x) - 1.0 / error)

            exact = brentq(excess, 0.0, 20.0) * np.sqrt((1.0 + x) / x)
            found = float(sequence_multiplier(np.asarray(x), error))
            assert exact <= found < 1.02 * exact


def test_the_bounds_are_the_ratios_at_which_the_contrast_is_z_errors_from_zero() -> None:
    arm, control = mean(0.12, 0.004), mean(0.1, 0.003)
    z = float(sequence_multiplier(np.asarray((TUNED_LIFT * 0.1) ** 2 / (0.004**2 + 0.003**2)), 0.025))
    for bound in lift_bounds(arm, control, 0.025):
        ratio = 1.0 + float(bound)
        distance = abs(0.12 - ratio * 0.1) / np.sqrt(0.004**2 + ratio**2 * 0.003**2)
        assert distance == pytest.approx(z, rel=1e-6)


def test_the_sign_is_that_of_the_difference() -> None:
    """Also for skewed ratios: a lower bound is above 0 exactly if the difference is z errors above 0."""
    base = mean(0.1, 0.004)
    z = float(sequence_multiplier(np.asarray((TUNED_LIFT * 0.1) ** 2 / (2 * 0.004**2)), 0.05))
    edge = 0.1 + z * 0.004 * np.sqrt(2)
    assert float(lift_bounds(mean(edge * 1.0001, 0.004), base, 0.05)[0]) > 0.0
    assert float(lift_bounds(mean(edge * 0.9999, 0.004), base, 0.05)[0]) < 0.0


def test_few_users_widen_the_bounds() -> None:
    wide = lift_bounds(mean(0.1, 0.004, 30.0), mean(0.1, 0.004, 30.0), 0.05)
    narrow = lift_bounds(mean(0.1, 0.004), mean(0.1, 0.004), 0.05)
    assert float(wide[0]) < float(narrow[0]) < 0.0 < float(narrow[1]) < float(wide[1])
    assert float(welch_freedom(mean(0.1, 0.004, 30.0), mean(0.1, 0.004, 30.0))) == pytest.approx(58.0)


@pytest.mark.parametrize(
    ("arm", "control"),
    [
        (mean(0.1, 0.01), mean(0.0, 0.01)),
        (mean(0.1, 0.01), mean(0.02, 0.01)),
        (mean(np.nan, np.nan), mean(0.1, 0.01)),
        (mean(0.0, 0.0), mean(0.0, 0.0)),
        (mean(1.0, 0.0), mean(1.0, 0.0)),
        (mean(0.1, 0.01, 1.0), mean(0.1, np.nan, 1.0)),
    ],
)
def test_without_a_control_above_zero_or_any_error_there_are_no_bounds(arm: ArmMean, control: ArmMean) -> None:
    assert np.isnan(lift_bounds(arm, control, 0.05)).all()
