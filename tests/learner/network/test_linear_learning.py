"""The ridge regression as an algorithm: what it finds, what it keeps, and what it refuses."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from learner.examples.learner_errors import CheckpointBroken, NothingToLearn
from learner.network.linear_learning import LinearLearning, column_pairs, common_values, observed_together
from learner.network.tensor_file import read_tensors, write_tensors


def fresh(experiment: Experiment, *, pairs: bool = False) -> LinearLearning:
    return LinearLearning(experiment, FeatureContract.from_experiment(experiment), pairs=pairs)


def liked(users: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Users with a positive first embedding like the first weight high, others low."""
    rate = 0.5 + np.where(users[:, 0] > 0, 0.35, -0.35) * (2 * features[:, 0] - 1)
    return np.stack([rate, np.full(len(users), 0.2)], axis=1)


def test_it_finds_the_arm_that_is_best_for_each_user(make_experiment: Callable[..., Any], make_world: Any) -> None:
    experiment = make_experiment(features={"user_embedding_dim": 4})
    world = make_world(experiment, truth=liked)
    algorithm = fresh(experiment)
    algorithm.fit(world.rows(world.examples(2_000)))
    rows = world.rows(world.examples(400, first=10_000))
    values = algorithm.score(rows.inputs)
    chosen = experiment.action_space.features[values[:, :, 0].argmax(axis=1), 0] > 0.5
    assert (chosen == (rows.inputs["user_embedding"][:, 0] > 0)).mean() > 0.9
    np.testing.assert_allclose(values[:, :, 1], 0.2, atol=0.06)


def test_only_products_see_what_two_features_say_together(make_experiment: Callable[..., Any], make_world: Any) -> None:
    """A surface turns what users like around."""
    context = [{"name": "surface", "required": True}]
    experiment = make_experiment(features={"user_embedding_dim": 4, "context": context, "hash_buckets": 64})
    world = make_world(experiment)
    rows = world.rows(world.examples(3_000))
    user, surface = rows.inputs["user_embedding"][:, 0], rows.inputs["context_ids"][:, 0]
    turned = np.where(surface == surface[0], 1.0, -1.0) * np.sign(user)
    weight = 2 * experiment.action_space.features[rows.arms, 0] - 1
    rows.rewards[:, 0] = np.random.default_rng(1).random(rows.count) < 0.5 + 0.35 * turned * weight

    def right(algorithm: LinearLearning) -> float:
        algorithm.fit(rows)
        best = algorithm.score(rows.inputs)[:, :, 0].argmax(axis=1)
        return float(((experiment.action_space.features[best, 0] > 0.5) == (turned > 0)).mean())

    assert right(fresh(experiment)) < 0.75 < 0.9 < right(fresh(experiment, pairs=True))


@pytest.mark.parametrize("pairs", [False, True])
def test_a_restored_state_gives_the_same_values(experiment: Experiment, world: Any, pairs: bool) -> None:
    rows = world.rows(world.examples(300))
    algorithm = fresh(experiment, pairs=pairs)
    algorithm.fit(rows)
    saved = read_tensors(write_tensors(algorithm.weights()), "weights")
    restored = fresh(experiment, pairs=pairs)
    restored.restore(saved, {})
    np.testing.assert_array_equal(restored.score(rows.inputs), algorithm.score(rows.inputs))
    assert not algorithm.continues and algorithm.optimiser() == {}
    restored.fit(rows)
    np.testing.assert_array_equal(restored.score(rows.inputs), algorithm.score(rows.inputs))
    with pytest.raises(CheckpointBroken, match="do not fit"):
        restored.restore({name: array for name, array in saved.items() if name != "rates"}, {})
    with pytest.raises(CheckpointBroken, match="do not fit"):
        restored.restore(saved | {"arm_effects": saved["arm_effects"][1:]}, {})


def test_rows_without_an_outcome_are_left_out(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(600))
    algorithm = fresh(experiment)
    rows.observed[300:, 1] = False
    rows.rewards[300:, 1] = 0.0
    algorithm.fit(rows)
    first = fresh(experiment)
    first.fit(rows.take(np.arange(300)))
    seen = np.abs(algorithm.score(rows.inputs)[..., 1].mean() - rows.rewards[:300, 1].mean())
    assert seen < 0.03


def test_objectives_are_fitted_together_where_they_are_observed_together() -> None:
    observed = np.array([[True, False, True], [True, True, True]])
    found = observed_together(observed)
    assert [objectives for _, objectives in found] == [[0, 2], [1]]
    np.testing.assert_array_equal(found[1][0], [False, True])


def test_rare_categories_have_no_indicator() -> None:
    ids = np.array([[3]] * 600 + [[4]] * 399 + [[5]], dtype=np.int64)
    kept = common_values(ModelInput({"context_ids": ids}, len(ids)))
    assert kept["category_buckets"].tolist() == [3, 4]
    assert kept["category_features"].tolist() == [0, 0]


def test_pairs_are_of_columns_that_vary_from_different_parts() -> None:
    found = column_pairs([2, 1, 1], np.array([1.0, 0.0, 1.0, 1.0], dtype=np.float32))
    assert found.tolist() == [[0, 2], [0, 3], [2, 3]]


def test_too_many_coefficients_are_refused_with_what_to_do(
    experiment: Experiment, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learner.network.linear_learning.MOST_COLUMNS", 20)
    rows = world.rows(world.examples(50))
    for pairs, instead in ((False, "q_network"), (True, "'linear'")):
        with pytest.raises(NothingToLearn, match="coefficients") as refused:
            fresh(experiment, pairs=pairs).fit(rows)
        assert instead in refused.value.fix


def test_an_experiment_without_features_has_nothing_to_learn_from(make_experiment: Callable[..., Any]) -> None:
    with pytest.raises(NothingToLearn, match="no features"):
        fresh(make_experiment(features={}))
