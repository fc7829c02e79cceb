"""Stored examples as arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learning_rows import UNDECLARED, LearningRows, request_records


def test_rewards_are_in_units_of_their_clip(make_experiment: Callable[..., Experiment], make_world: Any) -> None:
    objectives = [
        {"name": "repin", "kinds": ["repin"], "attribution": "5m", "clip": 4},
        {"name": "p2p", "kinds": ["p2p"], "attribution": "5m"},
    ]
    world = make_world(make_experiment(objectives=objectives))
    examples = world.examples(3)
    for example, reward in zip(examples, (0.0, 1.0, 4.0), strict=True):
        example["outcome"]["objectives"][0]["reward"] = reward
    assert world.rows(examples).rewards[:, 0].tolist() == [0.0, 0.25, 1.0]


def test_an_unobserved_objective_is_masked_and_not_zero(world: Any) -> None:
    examples = world.examples(3)
    examples[1]["outcome"]["objectives"][0] |= {"observed": False, "reward": 1.0}
    del examples[2]["outcome"]["objectives"][1]
    rows = world.rows(examples)
    assert rows.observed.tolist() == [[True, True], [False, True], [True, False]]
    assert rows.rewards[1, 0] == 0.0


def test_a_reward_that_is_not_finite_is_unobserved(world: Any) -> None:
    examples = world.examples(1)
    examples[0]["outcome"]["objectives"][0]["reward"] = float("nan")
    assert world.rows(examples).observed.tolist() == [[False, True]]


def test_take_keeps_every_array_in_step(world: Any) -> None:
    rows = world.rows(world.examples(20))
    part = rows.take(np.array([7, 3]))
    assert part.frame["request_request_id"].to_list() == ["r000007", "r000003"]
    assert part.arms.tolist() == [rows.arms[7], rows.arms[3]]
    np.testing.assert_array_equal(part.inputs["user_embedding"][0], rows.inputs["user_embedding"][7])
    assert rows.take(np.zeros(20, dtype=bool)).count == 0


def test_mean_rewards_skip_what_was_not_observed(world: Any) -> None:
    examples = world.examples(2)
    for example, reward in zip(examples, (1.0, 0.0), strict=True):
        example["outcome"]["objectives"][0]["reward"] = reward
    examples[1]["outcome"]["objectives"][0]["observed"] = False
    assert world.rows(examples).mean_rewards()[0] == 1.0


def test_eligible_arms(world: Any) -> None:
    examples = world.examples(2)
    assert world.rows(examples).eligible(10) is None
    examples[1]["action"]["eligible"] = [0, 9]
    eligible = world.rows(examples).eligible(10)
    assert eligible is not None
    assert eligible[0].all()
    assert np.flatnonzero(eligible[1]).tolist() == [0, 9]


def test_training_encodes_as_serving_does(world: Any, experiment: Experiment) -> None:
    """The arrays out of Parquet columns equal those of the request record itself."""
    examples = world.examples(5)
    rows = world.rows(examples)
    served = FeatureContract.from_experiment(experiment).encode([example["request"] for example in examples])
    assert set(rows.inputs) == set(served)
    for name, array in served.items():
        np.testing.assert_array_equal(rows.inputs[name], array)


def test_context_and_feature_faults(world: Any, experiment: Experiment) -> None:
    examples = world.examples(3)
    examples[1]["request"]["context"] = []
    frame = world.frame(examples)
    contract = FeatureContract.from_experiment(experiment)
    rows, faults = LearningRows.encodable(frame, experiment, contract)
    assert {row: fault.feature for row, fault in faults.items()} == {1: "context.surface"}
    assert rows.frame["request_request_id"].to_list() == ["r000000", "r000002"]
    alone = LearningRows.of(frame[[0, 2]], experiment, contract)
    for name, array in alone.inputs.items():
        np.testing.assert_array_equal(rows.inputs[name], array)
    whole, none = LearningRows.encodable(frame[[0, 2]], experiment, contract)
    assert (whole.count, none) == (2, {})
    assert world.rows([examples[0]]).context("surface") == ["s0"]
    assert world.rows([examples[0]]).context("absent") == [None]
    assert len(request_records(frame, contract)) == 3


def test_the_estimators_get_the_same_rows(world: Any) -> None:
    rows = world.rows(world.examples(10))
    log = rows.logged_bandit(world.experiment)
    assert log.rows == 10
    assert log.cohort_names == ("CORE", "REST")
    np.testing.assert_array_equal(log.reward, rows.rewards)
    np.testing.assert_array_equal(log.observed, rows.observed)


def test_the_estimators_get_rewards_in_their_own_units(
    make_experiment: Callable[..., Experiment], make_world: Any
) -> None:
    objectives = [
        {"name": "rating", "kinds": ["rating"], "attribution": "5m", "clip": 5},
        {"name": "p2p", "kinds": ["p2p"], "attribution": "5m"},
    ]
    world = make_world(make_experiment(objectives=objectives))
    examples, ratings = world.examples(4), (0.5, 4.01, 5.0, 7.3)
    for example, rating in zip(examples, ratings, strict=True):
        example["outcome"]["objectives"][0]["reward"] = rating
    rows = world.rows(examples)
    assert rows.logged_bandit(world.experiment).reward[:, 0].tolist() == [0.5, 4.01, 5.0, 5.0]
    assert rows.rewards[:, 0].tolist() == np.array([0.1, 0.802, 1.0, 1.0], dtype=np.float32).tolist()


def test_any_number_of_undeclared_cohorts_is_one(world: Any) -> None:
    examples = world.examples(200)
    for number, example in enumerate(examples):
        example["request"]["cohort"] = ("CORE", None, f"core-{number}", "core ")[number % 4]
    log = world.rows(examples).logged_bandit(world.experiment)
    assert log.cohort_names == (UNDECLARED, "CORE")
    assert (int(log.cohort_rows(UNDECLARED).sum()), int(log.cohort_rows("CORE").sum())) == (100, 50)
