"""The small world of warm starts: known rates, a taste that changes, and rows that a learner reads."""

import numpy as np

from benchmarks.shifting_world import ShiftingWorld, joined


def test_rewards_have_the_rates_of_the_week_s_taste() -> None:
    world = ShiftingWorld(1, 4_000)
    week = world.week(2, 1)
    picked = np.arange(week.count), week.arms
    users = week.inputs["user_embedding"]
    np.testing.assert_allclose(week.rewards.mean(axis=0), world.rates(users, 1)[picked].mean(axis=0), atol=0.03)
    residual = week.rewards - world.rates(users, 1)[picked]
    other = week.rewards - world.rates(users, 0)[picked]
    assert (np.square(residual).mean(axis=0) < np.square(other).mean(axis=0)).all()


def test_regret_is_0_for_the_truth_and_1_for_production() -> None:
    world = ShiftingWorld(2, 10)
    truth = world.rates(world.tested["user_embedding"], 0)
    assert world.regret(truth.astype(np.float32), 0) < 1e-6
    production = np.zeros_like(truth, dtype=np.float32)
    production[:, world.experiment.action_space.production_arm] = 1.0
    assert world.regret(production, 0) == 1.0
    assert world.regret(truth.astype(np.float32), 1) > 0.3


def test_weeks_are_put_together_in_order() -> None:
    world = ShiftingWorld(3, 50)
    both = joined(world.week(0, 0), world.week(1, 0))
    assert both.count == 100 and len(set(both.unit_names)) == 100
    assert (np.diff(both.event_times) >= 0).all()
    np.testing.assert_array_equal(both.rewards[50:], world.week(1, 0).rewards)
    np.testing.assert_array_equal(both.inputs["user_embedding"][:50], world.week(0, 0).inputs["user_embedding"])
