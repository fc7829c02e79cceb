"""The algorithm learns from its rows, and continues exactly where it stopped."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learner_errors import CheckpointBroken
from learner.network.q_learning import QLearning
from learner.network.tensor_file import read_tensors, write_tensors


def fresh(experiment: Experiment) -> QLearning:
    return QLearning(experiment, FeatureContract.from_experiment(experiment))


def test_it_finds_the_arm_that_is_best_for_each_user(make_experiment: Callable[..., Any], make_world: Any) -> None:
    """Users with a positive first embedding like the first weight high, others low."""

    def truth(users: np.ndarray, features: np.ndarray) -> np.ndarray:
        liked = np.where(users[:, 0] > 0, features[:, 0], 1 - features[:, 0])
        return np.stack([0.1 + 0.8 * liked, np.full(len(users), 0.2)], axis=1)

    learner = {"epochs": 12, "batch_size": 128, "learning_rate": 0.01, "state_dim": 16, "hidden_dims": [32, 32, 16]}
    experiment = make_experiment(learner=learner, features={"user_embedding_dim": 4})
    world = make_world(experiment, truth=truth)
    algorithm = fresh(experiment)
    algorithm.fit(world.rows(world.examples(3000)))
    rows = world.rows(world.examples(400, first=10_000))
    best = algorithm.score(rows.inputs)[:, :, 0].argmax(axis=1)
    wanted = rows.inputs["user_embedding"][:, 0] > 0
    chosen = experiment.action_space.features[best, 0] > 0.5
    assert (chosen == wanted).mean() > 0.85


def test_a_restored_learner_continues_exactly(experiment: Experiment, world: Any) -> None:
    first, second = world.rows(world.examples(200)), world.rows(world.examples(200, first=500))
    straight = fresh(experiment)
    straight.fit(first)
    saved = write_tensors(straight.weights()), write_tensors(straight.optimiser())
    straight.fit(second)
    resumed = fresh(experiment)
    resumed.restore(read_tensors(saved[0], "weights"), read_tensors(saved[1], "optimiser"))
    resumed.fit(second)
    np.testing.assert_array_equal(resumed.score(second.inputs), straight.score(second.inputs))


def test_a_state_of_another_shape_is_refused(experiment: Experiment, make_experiment: Any, world: Any) -> None:
    algorithm = fresh(experiment)
    algorithm.fit(world.rows(world.examples(100)))
    smaller = fresh(make_experiment(learner={"state_dim": 4, "hidden_dims": [8, 8, 8]}))
    with pytest.raises(CheckpointBroken, match="do not fit"):
        smaller.restore(algorithm.weights(), algorithm.optimiser())
    with pytest.raises(CheckpointBroken, match="do not fit"):
        fresh(experiment).restore({}, {})


def test_a_later_fit_starts_between_the_earlier_weights_and_new_ones(
    make_experiment: Callable[..., Any], world: Any
) -> None:
    """At a step size of almost nothing what is fitted is the start."""
    experiment = make_experiment(learner={"epochs": 1, "learning_rate": 1e-12, "hidden_dims": [8, 8, 8]})
    contract, rows = FeatureContract.from_experiment(experiment), world.rows(world.examples(200))
    earlier = fresh(experiment)
    earlier.fit(rows)
    found = {}
    for kept in (0.0, 0.5, 1.0):
        later = QLearning(experiment, contract, kept)
        later.restore(earlier.weights(), {})
        later.fit(rows)
        found[kept] = later.weights()["action.0.weight"]
    np.testing.assert_allclose(found[1.0], earlier.weights()["action.0.weight"], atol=1e-6)
    assert np.abs(found[0.0] - found[1.0]).max() > 0.1
    np.testing.assert_allclose(found[0.5], (found[0.0] + found[1.0]) / 2, atol=1e-6)
    assert earlier.optimiser() == {}


def test_scoring_in_pieces_and_of_nothing(experiment: Experiment, world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm = fresh(experiment)
    rows = world.rows(world.examples(9))
    whole = algorithm.score(rows.inputs)
    monkeypatch.setattr("learner.network.q_learning.SCORING_ROWS", 4)
    np.testing.assert_allclose(algorithm.score(rows.inputs), whole, atol=1e-6)
    monkeypatch.setattr("learner.network.pair_blocks.BATCH_PAIRS", 25)
    np.testing.assert_allclose(algorithm.score(rows.inputs), whole, atol=1e-6)
    assert algorithm.score(rows.inputs.take(slice(0, 0))).shape == (0, 10, 2)
