"""Policies that follow from values."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import (
    alpha_family,
    alpha_grid,
    baseline_policy,
    comparable_places,
    exploration_by_row,
    preferred_policy,
    uniform_over,
)
from off_policy.target_policies import alpha_policies
from policy_store.records.objective_weights import ObjectiveWeights
from serving_agent.decide.scoring import best_arm
from tests.learner_samples import World

CATALOGUE = {
    "production": "b",
    "features": ["size"],
    "arms": [{"name": name, "features": [i]} for i, name in enumerate("abc")],
}


def test_the_family_covers_alpha_and_its_ends_are_pure(experiment: Experiment) -> None:
    q = np.random.default_rng(0).random((6, 10, 2))
    family = alpha_family(q, experiment, None, alpha_grid(experiment))
    assert [policy.alpha for policy in family] == [0.0, 0.25, 0.5, 0.75, 1.0]
    np.testing.assert_array_equal(family[0].arms, q[:, :, 0].argmax(axis=1))
    np.testing.assert_array_equal(family[-1].arms, q[:, :, 1].argmax(axis=1))


def test_one_objective_has_no_family(make_experiment: Callable[..., Experiment]) -> None:
    experiment = make_experiment(objectives=[{"name": "a", "kinds": ["a"], "attribution": "1m"}], preference={})
    assert alpha_family(np.zeros((1, 10, 1)), experiment, None, alpha_grid(experiment)) == []


def test_each_cohort_gets_its_own_preference_and_only_eligible_arms() -> None:
    q = np.zeros((3, 4, 2))
    q[:, 1, 0] = q[:, 2, 1] = 1.0
    preference = ObjectiveWeights(1, (1.0, 0.0), {"CORE": (0.0, 1.0)})
    eligible = np.ones((3, 4), dtype=bool)
    eligible[2, 1] = False
    policy = preferred_policy(q, preference, ["CORE", "REST", None], eligible)
    assert policy.arms is not None
    assert policy.arms.tolist() == [2, 1, 0]


def test_equal_weights_that_nobody_chose_have_a_name_of_their_own() -> None:
    q = np.zeros((2, 4, 3))
    q[:, 1, 0], q[:, 2, 1:] = 0.9, 0.6
    policy = preferred_policy(q, ObjectiveWeights(0, None), ["CORE", None], None)
    assert policy.arms is not None
    assert (policy.name, policy.arms.tolist()) == ("equal_weights", [2, 2])


def test_a_grid_is_measured_against_production(experiment: Experiment, world: Any) -> None:
    baseline = baseline_policy(world.rows(world.examples(4)), experiment)
    assert baseline.name == "production"
    assert baseline.arms is not None
    assert set(baseline.arms.tolist()) == {9}


def test_a_catalogue_is_measured_against_its_log(make_experiment: Callable[..., Any], make_world: Any) -> None:
    document = {"weights": [], "catalogue": CATALOGUE}
    experiment = make_experiment(**document)
    world = make_world(experiment, truth=lambda users, features: np.full((len(users), 2), 0.5))
    examples = world.examples(5)
    examples[1]["action"]["eligible"] = [0, 2]
    rows = world.rows(examples)
    baseline = baseline_policy(rows, experiment)
    assert baseline.name == "logged"
    np.testing.assert_allclose(np.asarray(exploration_by_row(rows, experiment))[1], [0.5, 0.0, 0.5])
    uniform = uniform_over(rows, experiment)
    assert uniform.probabilities is not None
    np.testing.assert_allclose(np.asarray(uniform.probabilities)[:2], [[1 / 3] * 3, [0.5, 0.0, 0.5]])


def test_uniform_where_all_arms_are_eligible(experiment: Experiment, world: Any) -> None:
    uniform = uniform_over(world.rows(world.examples(2)), experiment)
    assert uniform.probabilities is not None
    assert np.asarray(uniform.probabilities)[0, 0] == pytest.approx(0.1)


def test_near_ties_are_judged_on_the_arm_that_serving_takes(experiment: Experiment) -> None:
    """Values on a coarse grid tie all the time; the order of additions must not decide between judge and server."""
    q = np.random.default_rng(1).integers(0, 4, (500, 10, 2)).astype(np.float32) / np.float32(10)
    preference = ObjectiveWeights.in_force(experiment)
    weights = preference.of_cohort(None)
    assert weights is not None
    judged = preferred_policy(q.astype(np.float64), preference, [None] * 500, None).arms
    assert judged is not None
    assert judged.tolist() == [best_arm(row, weights, ()) for row in q]


def test_rows_that_could_not_explore_the_baseline_are_not_compared(experiment: Experiment, world: Any) -> None:
    examples = world.examples(6)
    for example in examples:
        example["action"]["arm"] = 1
    examples[2]["action"]["eligible"] = [0, 1]
    examples[3]["action"]["eligible"] = [1, 9]
    rows = world.rows(examples)
    assert comparable_places(rows, experiment).tolist() == [0, 1, 3, 4, 5]
    assert comparable_places(rows, experiment, arm=0).tolist() == [0, 1, 4, 5]
    for example in examples:
        example["action"]["eligible"] = [0, 1]
    assert comparable_places(world.rows(examples), experiment).tolist() == [0, 1, 2, 3, 4, 5]


def test_settings_that_never_draw_production_say_nothing_about_it(experiment: Experiment, world: Any) -> None:
    never = replace(experiment.exploration, production_share=0.0)
    examples = world.examples(4)
    for example in examples[:3]:
        example["action"]["arm"] = 1
        example["propensity"]["exploration"] = never.digest
    examples[1]["action"] |= {"arm": 9, "eligible": [9]}  # production alone is drawn whatever its share
    contract = FeatureContract.from_experiment(experiment)
    rows = LearningRows.of(world.frame(examples), experiment, contract, {never.digest: never})
    assert comparable_places(rows, experiment).tolist() == [1, 3]


def test_a_catalogue_is_compared_with_what_explored_it(make_experiment: Callable[..., Experiment], codec: Any) -> None:
    catalogue = make_experiment(weights=[], catalogue=CATALOGUE)
    world = World(catalogue, codec)
    examples = [world.example(number, 0, 0.5, [0.0] * 4, [0.0, 0.0]) for number in range(2)]
    examples[0]["action"]["eligible"] = [0, 2]
    assert comparable_places(world.rows(examples), catalogue).tolist() == [0, 1]


def test_a_family_in_one_pass_plays_the_arms_that_would_be_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of few bits, so that ties and near ties abound; blocks of a few rows; and eligible arms."""
    rng = np.random.default_rng(4)
    q = np.round(rng.random((300, 7, 2)), 1).astype(np.float32)
    eligible = rng.random((300, 7)) < 0.6
    eligible[:, 2] = True
    monkeypatch.setattr("off_policy.target_policies.CACHED_CELLS", 40)
    grid = [0.0, 0.1, 0.3, 1 / 3, 0.7, 1.0]
    for mask in (None, eligible):
        lists = [()] * 300 if mask is None else [tuple(np.flatnonzero(row).tolist()) for row in mask]
        for alpha, policy in zip(grid, alpha_policies(q.astype(np.float64), 1, grid, mask), strict=True):
            served = [best_arm(row, (1 - alpha, alpha), allowed) for row, allowed in zip(q, lists, strict=True)]
            assert policy.arms is not None
            assert policy.arms.tolist() == served
