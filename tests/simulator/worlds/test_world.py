"""A world's values belong to the request, and a drift moves them."""

import numpy as np

from simulator.worlds.engagements import inside_share
from simulator.worlds.named_worlds import world
from tests.world_samples import SPACE, WINDOWS, production_of, short_run

INSIDE = inside_share(WINDOWS)


def test_values_are_the_same_alone_and_together() -> None:
    run, plan = short_run(requests=700)
    together = run.world.arm_values(run.states(plan), SPACE.weights, INSIDE)
    one = plan.part(600, 601)
    assert np.allclose(
        run.world.arm_values(run.states(one), SPACE.weights, INSIDE)[0], together[600], rtol=0, atol=1e-15
    )
    assert together.shape == (700, SPACE.arms, 3) and together.min() > 0 and together.max() < 1


def test_values_of_one_arm_each_are_those_of_all_arms() -> None:
    run, plan = short_run(requests=300)
    arms = np.random.default_rng(0).integers(0, SPACE.arms, len(plan))
    states = run.states(plan)
    every = run.world.arm_values(states, SPACE.weights, INSIDE)
    own = run.world.values_of(states, SPACE.weights[arms], INSIDE)
    assert np.allclose(own, every[np.arange(len(plan)), arms], rtol=0, atol=1e-15)
    same = run.world.values_of(states, production_of(len(plan)), INSIDE)
    assert np.allclose(same, every[:, SPACE.production_arm], rtol=0, atol=1e-15)


def test_users_of_a_world_do_not_depend_on_how_many_there_are() -> None:
    few, many = (world("homefeed").populated(users) for users in (100, 300))
    assert np.array_equal(few.people.embedding, many.people.embedding[:100])
    assert np.array_equal(few.catalogue.heads, many.catalogue.heads)


def test_a_drift_of_taste_moves_saves_to_p2p_and_one_of_heads_moves_the_slates() -> None:
    run, plan = short_run(requests=400)
    shops = np.zeros(len(plan), dtype=bool)
    production = SPACE.weights[SPACE.production_arm :]
    before = run.world.arm_values(run.world.states(plan, shops), production, INSIDE).mean(axis=0)[0]
    tasted = run.world.after_drift((1.0,) * 5, 1.5)
    after = tasted.arm_values(tasted.states(plan, shops), production, INSIDE).mean(axis=0)[0]
    assert after[0] < 0.95 * before[0] and after[1] > 1.05 * before[1]
    headed = run.world.after_drift((1.0, 2.0, 1.0, 1.0, 1.0), 0.0)
    moved = headed.arm_values(headed.states(plan, shops), production, INSIDE).mean(axis=0)[0]
    assert moved[0] < before[0] and moved[1] > before[1]


def test_a_drift_of_all_heads_alike_changes_what_the_ranker_says_and_nothing_that_it_serves() -> None:
    run, plan = short_run(requests=400)
    states = run.world.states(plan, np.zeros(len(plan), dtype=bool))
    drifted = run.world.after_drift((2.0,) * 5, 0.0)
    assert np.array_equal(drifted.catalogue.heads, 2 * run.world.catalogue.heads)
    values = run.world.arm_values(states, SPACE.weights, INSIDE)
    assert np.array_equal(drifted.arm_values(states, SPACE.weights, INSIDE), values)


def test_a_seed_of_its_own_for_every_world() -> None:
    homefeed, null = world("homefeed").populated(50), world("null").populated(50)
    assert not np.array_equal(homefeed.people.traits, null.people.traits)
