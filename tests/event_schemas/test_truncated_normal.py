"""The truncated normal against scipy and against itself, over all that an experiment file may ask for."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm, truncnorm

from event_schemas.truncated_normal import LEAST_LENGTH, LEAST_SD, MOST_SD, TruncatedNormal

CASES = 300
COINS = [0.0, 2.0**-64, 1e-12, 0.001, 0.2, 0.5, 0.8, 0.999, 1 - 1e-12, 1 - 2.0**-53, 1.0]
TOLERANCE = 1e-9


def generated() -> list[TruncatedNormal]:
    """Intervals of all lengths, every third far from 0; sd from the least to the most; means also at the bounds."""
    rng = np.random.default_rng(20260101)
    sd = np.concatenate([np.tile([LEAST_SD, MOST_SD], CASES // 6), 10 ** rng.uniform(-6, 3, CASES - CASES // 6 * 2)])
    place = np.concatenate([rng.choice([0.0, 1.0, 0.5, 1e-9, 1 - 1e-9], CASES // 2), rng.random(CASES - CASES // 2)])
    length = 10 ** rng.uniform(-3, 3, CASES)
    low = (
        np.where(np.arange(CASES) % 3, rng.uniform(-2, 1, CASES), rng.uniform(-0.9, 0.9, CASES) / LEAST_LENGTH) * length
    )
    high = low + length
    mean = np.clip(low + place * length, low, high)
    spread = np.clip(sd * (high - low), LEAST_SD * (high - low), MOST_SD * (high - low))
    return [TruncatedNormal(*map(float, each)) for each in zip(mean, spread, low, high, strict=True)]


SIDES = generated()
MEAN, SD, LOW, HIGH = np.array([(side.mean, side.sd, side.low, side.high) for side in SIDES]).T
A, B = (LOW - MEAN) / SD, (HIGH - MEAN) / SD


def drawn(coin: float) -> NDArray[np.float64]:
    return np.array([side.draw(coin) for side in SIDES])


def quantile(coin: float) -> NDArray[np.float64]:
    """Scipy's; above 1/2 that of the mirrored distribution, for scipy itself gives NaN close to 1."""
    if coin > 0.5:
        mirrored = truncnorm.ppf(1 - coin, -B, -A)
        return np.asarray(MEAN - SD * mirrored)
    return np.asarray(MEAN + SD * truncnorm.ppf(coin, A, B))


@pytest.mark.parametrize("coin", COINS)
def test_draws_are_finite_and_inside_the_bounds(coin: float) -> None:
    values = drawn(coin)
    assert np.all(np.isfinite(values))
    assert np.all((values >= LOW) & (values <= HIGH))


@pytest.mark.parametrize("coin", [coin for coin in COINS if 0 < coin < 1])
def test_draws_are_the_quantiles(coin: float) -> None:
    assert np.max(np.abs(drawn(coin) - quantile(coin)) / (HIGH - LOW)) <= TOLERANCE


def test_draws_rise_with_the_coin() -> None:
    coins = sorted([*COINS, *np.random.default_rng(1).random(60).tolist()])
    for before, after in pairwise(map(drawn, coins)):
        assert np.all(before <= after)


def test_a_coin_of_0_or_1_is_what_rounds_to_it() -> None:
    assert np.all(drawn(0.0) <= drawn(2.0**-64))
    assert np.all(np.abs(drawn(0.0) - quantile(2.0**-65)) / (HIGH - LOW) <= TOLERANCE)
    mirrored = MEAN - SD * truncnorm.ppf(2.0**-55, -B, -A)
    assert np.all(np.abs(drawn(1.0) - mirrored) / (HIGH - LOW) <= TOLERANCE)


@pytest.mark.parametrize("coin", COINS)
def test_densities_are_those_of_the_truncated_normal(coin: float) -> None:
    values = drawn(coin)
    expected = truncnorm.logpdf((values - MEAN) / SD, A, B) - np.log(SD) + np.log(HIGH - LOW)
    found = [side.log_density(value) for side, value in zip(SIDES, values.tolist(), strict=True)]
    assert np.max(np.abs(found - expected)) <= TOLERANCE


def test_what_is_drawn_is_never_too_rare_to_divide_by() -> None:
    least = min(side.log_density(side.draw(coin)) for side in SIDES for coin in COINS)
    assert math.exp(-least) < 1e20


def test_densities_integrate_to_one() -> None:
    nodes, shares = np.polynomial.legendre.leggauss(60)
    fine = [side for side in SIDES if abs(side.low) < 10 * (side.high - side.low)]
    assert len(fine) > CASES / 2
    for side in fine:
        start, stop = max(side.low, side.mean - 9 * side.sd), min(side.high, side.mean + 9 * side.sd)
        pieces = np.linspace(start, stop, 4)
        total = 0.0
        for left, right in pairwise(pieces.tolist()):
            values = (left + right) / 2 + (right - left) / 2 * nodes
            density = np.exp([side.log_density(value) for value in values.tolist()])
            total += float(density @ shares) * (right - left) / 2 / (side.high - side.low)
        assert total == pytest.approx(1, abs=TOLERANCE)


@pytest.mark.parametrize("coin", COINS)
def test_the_cdf_takes_a_draw_back_to_its_coin(coin: float) -> None:
    """As far as the doubles of the interval are fine enough: each stands for up to 0.4/sd of their distance."""
    values = drawn(coin)
    found = [side.cdf(value) for side, value in zip(SIDES, values.tolist(), strict=True)]
    peak = np.exp([side.log_density(side.mean) for side in SIDES]) / (HIGH - LOW)
    assert np.all(np.abs(np.array(found) - coin) <= 1e-11 + peak * np.spacing(np.maximum(abs(LOW), abs(HIGH))))


def test_the_cdf_ends_at_0_and_1() -> None:
    for side in SIDES:
        assert side.cdf(side.low) == pytest.approx(0, abs=1e-12)
        assert side.cdf(side.high) == pytest.approx(1, abs=1e-12)
        assert side.cdf(side.low - 1) == 0
        assert side.cdf(side.high + 1) == 1


def test_the_formula_of_the_textbook_would_not_do() -> None:
    """mean + sd Φ⁻¹(Φ(a) + u (Φ(b) − Φ(a))): infinite, outside the interval, or wrong in the upper tail."""

    def textbook(side: TruncatedNormal, u: float) -> float:
        below, above = norm.cdf([(side.low - side.mean) / side.sd, (side.high - side.mean) / side.sd])
        return float(side.mean + side.sd * norm.ppf(below + u * (above - below)))

    assert textbook(TruncatedNormal(0.5, 0.001, 0.0, 1.0), 0.0) == -math.inf
    assert textbook(TruncatedNormal(0.1, 0.001, 0.0, 1.0), 1.0) == math.inf
    assert textbook(TruncatedNormal(0.9, 0.05, 0.0, 1.0), 0.0) < 0.0
    assert textbook(TruncatedNormal(0.0, 0.3, 0.0, 1.0), 1.0) > 1.0
    ours = TruncatedNormal(0.1, 0.1, 0.0, 1.0)
    assert abs(textbook(ours, 1 - 2.0**-53) - ours.draw(1 - 2.0**-53)) > 1e-3
