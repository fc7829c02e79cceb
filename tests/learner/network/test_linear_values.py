"""Linear values: their columns, their bend, and what the arms' features are."""

from typing import Any

import numpy as np
import pytest
import torch

from feature_contract import FeatureContract, ModelInput
from learner.network.linear_values import (
    WIDEST,
    LinearValues,
    bent,
    has_arm_effects,
    linear_arm_columns,
    raw_columns,
    standardised,
    with_constant,
)
from learner.network.training import input_tensors

NOTHING = torch.zeros(0, dtype=torch.int64)


def test_values_are_the_formula() -> None:
    arrays = {
        "category_features": np.zeros(0),
        "category_buckets": np.zeros(0),
        "action_buckets": np.zeros(0),
        "pairs": np.array([[0, 1]]),
        "means": np.array([1.0, 0.0]),
        "scales": np.array([2.0, 1.0]),
        "pair_means": np.array([0.5]),
        "pair_scales": np.array([2.0]),
        "coefficients": np.array([[0.3, 0.01, 0.02, 0.03], [0.0, 0.1, 0.0, 0.0]])[..., None],
        "arm_effects": np.array([[0.0], [0.05]]),
        "rates": np.array([0.3]),
    }
    values = LinearValues(arrays, np.array([[-1.0], [1.0]], dtype=np.float32))
    inputs = ModelInput({"user_embedding": np.array([[1.5, 0.5]], dtype=np.float32)}, 1)
    z = np.array([1.0, 1.0, 0.5, (0.5 - 0.5) * 2])
    shared = 0.3 + 0.01 * z[1] + 0.02 * z[2] + 0.03 * z[3]
    wanted = [[[shared - 0.1], [shared + 0.1 + 0.05]]]
    np.testing.assert_allclose(values(input_tensors(inputs)).numpy(), wanted, atol=1e-6)
    with pytest.raises(ValueError, match="shapes"):
        LinearValues(arrays | {"arm_effects": np.zeros((3, 1))}, np.ones((2, 1), dtype=np.float32))


def test_a_history_is_averaged_with_and_without_weights_by_age() -> None:
    inputs = {
        "history_mask": torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]),
        "history_ages": torch.log1p(torch.tensor([[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]])),
        "history_actions": torch.tensor([[7, 9, 0], [0, 0, 0]]),
    }
    found = raw_columns(inputs, NOTHING, NOTHING, torch.tensor([7, 9])).numpy()
    age = np.log(4.0)
    np.testing.assert_allclose(found[0], [2 / 3, 0.5, 0.5, age / 2, 0.8, 0.2, 0.2 * age], atol=1e-6)
    np.testing.assert_array_equal(found[1], np.zeros(7))


def test_common_categories_have_an_indicator_each() -> None:
    inputs = {"context_ids": torch.tensor([[5, 1], [6, 5]]), "context_numbers": torch.tensor([[0.5], [2.0]])}
    found = raw_columns(inputs, torch.tensor([0, 1]), torch.tensor([5, 5]), NOTHING)
    np.testing.assert_array_equal(found, [[1, 0, 0.5], [0, 1, 2.0]])


def test_columns_say_no_more_far_from_what_was_seen() -> None:
    found = standardised(torch.tensor([[1e9], [3.0], [-1e9]]), torch.tensor([1.0]), torch.tensor([0.5]))
    np.testing.assert_array_equal(found[:, 0], [WIDEST, 1.0, -WIDEST])


def test_predictions_beyond_the_ends_keep_their_order() -> None:
    low, high = torch.tensor([0.01]), torch.tensor([0.09])
    values = torch.linspace(-0.3, 1.5, 400)[:, None]
    found = bent(values, low, high)[:, 0]
    assert ((found > 0) & (found < 1)).all()
    assert (found.diff() > 0).all()
    inside = (values[:, 0] > 0.01) & (values[:, 0] < 0.91)
    np.testing.assert_array_equal(found[inside], values[inside, 0])


def test_arm_columns_of_a_grid_may_have_their_best_inside(make_experiment: Any) -> None:
    space = make_experiment().action_space
    found = linear_arm_columns(space)
    assert found.shape == (space.arms, 5)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(found.std(axis=0), 1.0, atol=1e-5)
    assert has_arm_effects(found)
    assert not has_arm_effects(np.eye(5, dtype=np.float32))
    assert not has_arm_effects(np.zeros((1_000, 3), dtype=np.float32))
    np.testing.assert_array_equal(with_constant(found)[:, 0], 1.0)


def test_every_feature_of_the_contract_has_columns(experiment: Any, world: Any) -> None:
    inputs = world.rows(world.examples(5)).inputs
    assert set(inputs) == set(FeatureContract.from_experiment(experiment).encode([]))
    kept = torch.tensor([0]), torch.tensor([1]), torch.tensor([1])
    whole = raw_columns(input_tensors(inputs), *kept)
    numbers, items = 2, 2
    assert whole.shape == (5, 4 + 1 + numbers + 1 + 2 * (1 + 1 + items))
