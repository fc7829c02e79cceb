"""Vectors of a box: one coin for each weight by its name, inside the bounds, with the density of what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from event_schemas.box_draws import BoxDistribution, UniformSide, normal_box, uniform_box
from event_schemas.slices import coin
from event_schemas.truncated_normal import TruncatedNormal

NAMES, LOW, HIGH = ("repin", "p2p", "hide"), (10.0, 1.0, -5.0), (200.0, 30.0, -4.0)
UNIFORM = uniform_box(NAMES, LOW, HIGH)
NORMAL = normal_box(NAMES, (91.6, 1.0, -4.5), (30.0, 3.0, 1e-4), LOW, HIGH)
BOUND = st.floats(-1e30, 1e30)


def vectors(box: BoxDistribution, count: int) -> list[tuple[float, ...]]:
    return [box.draw(lambda name, n=n: coin("pepper", name, f"r{n}")) for n in range(count)]  # type: ignore[misc]


def test_each_weight_has_the_coin_of_its_name() -> None:
    coins = {"repin": 0.0, "p2p": 0.5, "hide": 1.0}
    assert UNIFORM.draw(coins.__getitem__) == (10.0, 15.5, -4.0)
    backwards = uniform_box(NAMES[::-1], LOW[::-1], HIGH[::-1])
    assert backwards.draw(coins.__getitem__) == (-4.0, 15.5, 10.0)


@given(BOUND, BOUND, st.floats(0, 1))
def test_a_uniform_weight_is_inside_its_bounds(one: float, other: float, u: float) -> None:
    low, high = sorted((one, other))
    assert low <= UniformSide(low, high).draw(u) <= high


@pytest.mark.parametrize("box", [UNIFORM, NORMAL], ids=["uniform", "normal"])
def test_what_is_drawn_is_inside_and_uniform_after_its_cdf(box: BoxDistribution) -> None:
    drawn = vectors(box, 4000)
    assert np.all((np.array(drawn) >= LOW) & (np.array(drawn) <= HIGH))
    shares = np.array([box.cdfs(weights) for weights in drawn])
    assert min(kstest(column, "uniform").pvalue for column in shares.T) > 0.01
    assert np.max(np.abs(np.corrcoef(shares.T) - np.eye(len(NAMES)))) < 0.05


def test_a_wrong_distribution_is_not_uniform_after_its_cdf() -> None:
    shares = np.array([UNIFORM.cdfs(weights) for weights in vectors(NORMAL, 4000)])
    assert max(kstest(column, "uniform").pvalue for column in shares.T) < 1e-9


def test_a_density_is_the_product_of_its_sides() -> None:
    weights = (100.0, 2.0, -4.5)
    assert UNIFORM.log_density(weights) == 0.0
    sides = [TruncatedNormal(91.6, 30.0, 10.0, 200.0), TruncatedNormal(1.0, 3.0, 1.0, 30.0)]
    expected = sum(side.log_density(weight) for side, weight in zip(sides, weights, strict=False))
    assert NORMAL.log_density(weights) == pytest.approx(expected + np.log(1 / (1e-4 * np.sqrt(2 * np.pi))), abs=1e-12)


def test_densities_weigh_one_distribution_into_another() -> None:
    """The mean of exp(log density) over uniform vectors is 1, as that of any density with normalised weights."""
    wide = normal_box(NAMES, (91.6, 1.0, -4.5), (60.0, 20.0, 0.3), LOW, HIGH)
    ratios = np.exp([wide.log_density(weights) for weights in vectors(UNIFORM, 4000)])
    assert abs(ratios.mean() - 1) < 4 * ratios.std() / 4000**0.5 < 0.1


def test_a_vector_of_another_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        UNIFORM.log_density((1.0, 2.0))
    with pytest.raises(ValueError, match="zip"):
        NORMAL.cdfs((1.0, 2.0, 3.0, 4.0))
