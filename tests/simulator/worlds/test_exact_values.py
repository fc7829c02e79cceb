"""Exact values are what sampling converges to, and chances follow lean, position and gate as documented."""

from dataclasses import replace

import numpy as np

from simulator.worlds.exact_values import (
    LARGEST_CHANCE,
    ItemPlaces,
    blocks,
    engagement_chance,
    gates,
    position_bias,
    reward_chance,
    unit_values,
)
from simulator.worlds.named_worlds import world
from tests.world_samples import SPACE, short_run


def test_the_chance_of_a_reward_is_that_of_any_engagement() -> None:
    seen = np.random.default_rng(0).uniform(0, 0.3, (4, 6, 3))
    draws = np.random.default_rng(1).random((60_000, *seen.shape)) < seen
    assert np.allclose(reward_chance(seen), draws.any(axis=2).mean(axis=0), atol=0.01)


def test_shoppers_send_more_and_save_less() -> None:
    run, plan = short_run()
    states = run.states(plan)
    world_of_run = run.world
    places = ItemPlaces(world_of_run.sets_of(states.user), np.zeros((len(plan), 4), dtype=np.int64))
    lean, shop = (
        engagement_chance(
            world_of_run.shape,
            world_of_run.people,
            world_of_run.catalogue,
            replace(states, lean=np.full(600, lean)),
            places,
        )
        for lean in (0.1, 0.9)
    )
    assert (shop[..., 0] <= lean[..., 0]).all() and (shop[..., 1] >= lean[..., 1]).all()
    assert lean.shape == (600, 4, 3) and lean.min() > 0 and lean.max() <= LARGEST_CHANCE


def test_lower_positions_are_seen_less() -> None:
    bias = position_bias(world("homefeed").populated(1).shape)
    assert bias[0] == 1 and (np.diff(bias) < 0).all() and bias[-1] > 0.3


def test_gates_know_production_and_the_peak() -> None:
    boundary, bowl = (world(name).populated(1).shape for name in ("boundary", "no_heterogeneity"))
    production = SPACE.weights[SPACE.production_arm : SPACE.production_arm + 1]
    assert np.allclose(gates(boundary, production), 0.8)
    assert np.allclose(gates(boundary, SPACE.weights[:3]), [0.96, 0.76, 0.8])
    assert np.allclose(gates(bowl, production), 0.8)
    peak = SPACE.low + np.array(bowl.gate.peak) * (SPACE.high - SPACE.low)
    assert np.allclose(gates(bowl, peak[None]), [0.8 * 1.06, 0.8 * 1.06, 0.8])
    assert (gates(bowl, SPACE.weights) <= 0.8 * 1.06 + 1e-12).all()


def test_the_value_of_a_session_or_user_day_is_that_of_any_of_its_requests() -> None:
    values = np.array([[0.1, 0.5], [0.2, 0.5], [0.3, 0.0]])
    found = unit_values(values, np.array([0, 0, 1]))
    assert np.allclose(found, [[1 - 0.9 * 0.8, 0.75], [0.3, 0.0]])


def test_blocks_cover_every_row_once() -> None:
    rows = np.concatenate([np.arange(1_300)[block] for block in blocks(1_300)])
    assert np.array_equal(rows, np.arange(1_300)) and not list(blocks(0))


def test_a_part_of_the_states_has_the_same_chances() -> None:
    run, plan = short_run()
    states = run.states(plan)
    some = states.take(np.array([3, 17]))
    assert len(some) == 2 and some.lean.tolist() == states.lean[[3, 17]].tolist()
    numbers = ItemPlaces(np.array([2]), np.array([5])).item_numbers(24)
    assert numbers.tolist() == [53]
