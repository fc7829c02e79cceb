"""The world's truth: exact values, and weights per taste that beat production on both objectives."""

import numpy as np
import pytest
from numpy.typing import NDArray

from event_schemas.action_space import Axis, grid_action_space
from event_schemas.units import DAY_MS
from simulator.homefeed import INSIDE_SHARE, SERVED, Homefeed
from simulator.traffic import TrafficPlan, plan_traffic
from simulator.user_population import TASTES, draw_population

START = 1_700_000_000_000
SPACE = grid_action_space([Axis("repin", 91.6, 10, 200, 7), Axis("p2p", 9.1, 1, 30, 7)])
PEOPLE = draw_population(7, 1000)
FEED = Homefeed(7, PEOPLE, SPACE.weights)
PRODUCTION = SPACE.production_arm


def plan_of(requests: int) -> TrafficPlan:
    return plan_traffic(7, PEOPLE, requests, start_ms=START, end_ms=START + DAY_MS)


def values_of_arms(plan: TrafficPlan) -> NDArray[np.float64]:
    """E[reward | request, arm] [n, arms, 2]: `true_values_of` for every arm, over candidates that are drawn once."""
    candidates, columns = FEED.candidates(plan.number), []
    for weights in SPACE.weights:
        chosen = FEED.served(candidates.heads, np.broadcast_to(weights, (len(plan), 2)))
        chance = FEED.engagement_probability(plan, candidates.appeal, chosen)
        columns.append(1 - np.prod(1 - INSIDE_SHARE * chance, axis=1))
    return np.stack(columns, axis=1)


def best_arms_by_taste(values: NDArray[np.float64], taste: NDArray[np.int64], alpha: float) -> NDArray[np.int64]:
    """The arm each request gets when every taste gets the one arm that is best for it."""
    means = np.stack([values[taste == k].mean(axis=0) for k in range(len(TASTES))])
    return np.asarray((alpha * means[..., 1] + (1 - alpha) * means[..., 0]).argmax(axis=1)[taste])


def test_candidates_depend_on_the_request_number_alone() -> None:
    plan = plan_of(50)
    together = FEED.candidates(plan.number)
    alone = FEED.candidates(plan.number[17:18])
    assert np.array_equal(together.heads[17], alone.heads[0])
    assert together.heads.dtype == np.float32
    assert (together.appeal >= 0).all() and (together.appeal <= 1).all()


def test_extreme_weights_serve_the_items_their_head_likes() -> None:
    candidates = FEED.candidates(plan_of(1).number)
    for column, weights in enumerate(([1e6, 0.0], [0.0, 1e6])):
        chosen = FEED.served(candidates.heads[0], np.array(weights))
        assert set(chosen) == set(np.argsort(-candidates.heads[0, :, column])[:SERVED])


def test_true_values_are_what_sampling_converges_to() -> None:
    plan = plan_of(2)
    weights = np.broadcast_to(SPACE.weights[PRODUCTION], (2, 2))
    candidates = FEED.candidates(plan.number)
    chance = FEED.engagement_probability(plan, candidates.appeal, FEED.served(candidates.heads, weights))
    random = np.random.default_rng(0)
    draws = random.random((40_000, *chance.shape)) < INSIDE_SHARE * chance
    assert np.allclose(draws.any(axis=2).mean(axis=0), FEED.true_values_of(plan, weights), atol=0.01)


def test_weights_per_taste_gain_at_least_25_percent_on_both_objectives() -> None:
    plan = plan_of(3000)
    values, taste = values_of_arms(plan), PEOPLE.taste[plan.user]
    arms = best_arms_by_taste(values, taste, alpha=0.1)
    lift = values[np.arange(len(plan)), arms].mean(axis=0) / values[:, PRODUCTION].mean(axis=0) - 1
    assert (lift > 0.25).all()


def test_a_higher_alpha_trades_saves_for_p2p_and_raises_the_p2p_weight() -> None:
    plan = plan_of(3000)
    values, taste = values_of_arms(plan), PEOPLE.taste[plan.user]
    rows = np.arange(len(plan))
    low, high = (best_arms_by_taste(values, taste, alpha) for alpha in (0.1, 0.3))
    assert SPACE.weights[high, 1].mean() > SPACE.weights[low, 1].mean() + 2
    change = values[rows, high].mean(axis=0) - values[rows, low].mean(axis=0)
    assert change[0] < 0 < change[1]


def test_no_static_weights_match_weights_per_taste() -> None:
    plan = plan_of(3000)
    values, taste = values_of_arms(plan), PEOPLE.taste[plan.user]
    utility = 0.1 * values[..., 1] + 0.9 * values[..., 0]
    arms = best_arms_by_taste(values, taste, alpha=0.1)
    assert utility[np.arange(len(plan)), arms].mean() > 1.1 * utility.mean(axis=0).max()


def test_other_weights_than_the_two_tuned_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="tunes"):
        Homefeed(1, PEOPLE, np.ones((4, 3)))
