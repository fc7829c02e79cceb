"""Drawn users have the values and effective sizes that their world states."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.coverage_worlds import HALF, CoverageWorld, draw_users


@pytest.mark.parametrize("rewards", ["binary", "counts", "ratings"])
@pytest.mark.parametrize("per_user", [1, 6])
@pytest.mark.parametrize("weights", ["even", "uneven", "shared"])
def test_rates_and_rows_are_those_of_the_world(weights: str, per_user: int, rewards: str) -> None:
    world = CoverageWorld(0.2, 600, weights, per_user, rewards=rewards)
    counts = draw_users(world, 200, np.random.default_rng(3))
    weight = np.where(counts.rare, 20.0, 4.0)
    shared = counts.base_rows * counts.shared
    matched = (counts.times * (weight * counts.rows + shared / HALF)).sum()
    squares = (counts.times * (weight**2 * counts.rows + shared / HALF**2)).sum()
    hits = (counts.times * (weight * counts.rewards + counts.base_rewards * counts.shared / HALF)).sum()
    assert matched / 200 == pytest.approx(world.rows, rel=0.02)
    assert matched**2 / squares / 200 == pytest.approx(world.ess, rel=0.03)
    assert hits / matched == pytest.approx(world.values[0], rel=0.03)
    base = (counts.times * counts.base_rewards).sum() / (counts.times * counts.base_rows).sum()
    assert base == pytest.approx(world.values[1], rel=0.02)
    assert counts.rate_elsewhere.mean() == pytest.approx(world.rate, rel=0.05)
    sizes, frequencies = world.sizes
    second = float(np.square(sizes) @ frequencies) / world.mean_size
    sums = (counts.times * np.array([counts.base_rewards, counts.base_squares])).sum(axis=(1, 2))
    assert sums[1] / sums[0] == pytest.approx(second, rel=0.02)
    assert counts.squares_elsewhere.sum() / counts.rewards_elsewhere.sum() == pytest.approx(second, rel=0.02)
    others = (counts.times * (per_user - counts.rows - counts.base_rows)).sum()
    elsewhere = world.rate * world.mean_size
    assert counts.rewards_elsewhere.sum() / others == pytest.approx(elsewhere, rel=0.05)


def test_sizes_are_in_the_units_of_the_objective() -> None:
    assert CoverageWorld(0.2, 100).mean_size == 1.0
    assert CoverageWorld(0.2, 100, rewards="counts").mean_size == pytest.approx(1.9375)
    assert CoverageWorld(0.2, 100, rewards="ratings").mean_size == pytest.approx(3.625)


def test_a_log_depends_on_nothing_but_the_generator() -> None:
    world = CoverageWorld(0.05, 100, "uneven", 5)
    one, other = (draw_users(world, 3, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one.rewards, other.rewards)
