"""The parts of a value, from rows."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.sampling_design import BY_ROW, SamplingDesign
from off_policy.weighted_parts import PartRows, reward_size

REWARDS = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
EVEN = np.full(6, 1 / 6)


def test_the_size_of_one_reward() -> None:
    assert reward_size(REWARDS) == 1.0
    assert reward_size(np.zeros(3)) == 0.0
    assert reward_size(np.array([3.0, 5.0, 0.0])) == pytest.approx(34 / 8)
    assert reward_size(np.array([3.0, 5.0]), np.array([2.0, 1.0])) == pytest.approx(43 / 11)


def test_even_weights_have_binomial_terms() -> None:
    mean = 1 / 3
    part = PartRows(EVEN * (REWARDS - mean), EVEN, REWARDS, mean, bends=True).score(BY_ROW, 1.0)
    assert part.variance == pytest.approx(mean * (1 - mean) / 6)
    assert part.floor == pytest.approx(part.variance)
    assert part.slope == pytest.approx((1 - 2 * mean) / 6)
    assert part.bend == pytest.approx(1 / 6)


def test_units_raise_the_variance_and_not_the_row_variance() -> None:
    mean, both = 1 / 3, SamplingDesign(np.array([0, 1, 1, 2, 0, 2]))
    rows = PartRows(EVEN * (REWARDS - mean), EVEN, REWARDS, mean, bends=True)
    part, alone = rows.score(both, 1.0), rows.score(BY_ROW, 1.0)
    assert part.variance == pytest.approx(2.0 * alone.variance)
    assert part.row_variance == pytest.approx(alone.variance)


def test_heavy_rows_without_a_reward_do_not_hide_the_variance() -> None:
    weights = np.array([0.05, 0.05, 0.05, 0.05, 0.4, 0.4])
    rewards = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    mean = 0.05
    part = PartRows(weights * (rewards - mean), weights, rewards, mean, bends=True).score(BY_ROW, 1.0)
    assert part.floor == pytest.approx(np.square(weights).sum() * 0.05 * 0.95)
    assert part.floor > 4.0 * part.variance


def test_a_model_that_is_off_everywhere_adds_no_variance_where_every_row_counts() -> None:
    part = PartRows(np.zeros(6), EVEN, REWARDS, 0.9, bends=False).score(BY_ROW, 1.0)
    assert part.floor == pytest.approx(np.var(REWARDS) / 6)
    assert part.slope == pytest.approx((1 - 1.8) / 6)
    assert part.bend == 0.0


def test_an_empty_part_is_nothing() -> None:
    part = PartRows(np.zeros(6), np.zeros(6), REWARDS, 0.0, bends=False).score(BY_ROW, 1.0)
    down, up = part.reach(np.asarray(2.0))
    assert (float(down), float(up)) == (0.0, 0.0)
