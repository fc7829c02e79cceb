"""A linear fit is named where it predicts better, on rows that nothing was trained on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.network.algorithm import Algorithm, make_algorithm
from learner.network.linear_learning import LinearLearning
from learner.network.linear_rival import LinearRival, compare_with_linear, row_losses, rows_set_aside
from learner.network.linear_values import COEFFICIENTS, has_arm_effects, linear_arm_columns
from learner.network.validation_units import validation_rows


def of(experiment: Experiment) -> tuple[Experiment, FeatureContract]:
    return experiment, FeatureContract.from_experiment(experiment)


def network(experiment: Experiment) -> Algorithm:
    return make_algorithm(*of(experiment))


def test_what_is_ahead_by_more_than_its_error_wins() -> None:
    rival = LinearRival(rows=900, loss=0.15, linear_loss=0.14, ahead=0.01, standard_error=0.009)
    assert rival.wins and rival.sentence is not None
    assert 'set learner.algorithm = "linear"' in rival.sentence and "0.14000 against 0.15000 on 900" in rival.sentence
    even = LinearRival(rows=900, loss=0.15, linear_loss=0.14, ahead=0.01, standard_error=0.011)
    assert not even.wins and even.as_dict()["sentence"] is None


def test_an_untrained_network_loses(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(1_500))
    algorithm = network(experiment)
    aside = rows_set_aside(algorithm, rows, of(experiment))
    np.testing.assert_array_equal(aside, validation_rows(rows))
    rival = compare_with_linear(algorithm, rows, aside, of(experiment))
    assert rival is not None and rival.wins
    linear = LinearLearning(*of(experiment))
    linear.fit(rows.take(~aside))
    tried = rows.take(aside)
    assert rival.rows == tried.count == aside.sum()
    assert rival.linear_loss == pytest.approx(row_losses(linear, tried).mean())
    ahead = row_losses(algorithm, tried) - row_losses(linear, tried)
    assert rival.ahead == pytest.approx(ahead.mean())
    of_unit = [(ahead - ahead.mean())[tried.units == unit].sum() for unit in set(tried.units.tolist())]
    assert rival.standard_error == pytest.approx(np.sqrt(np.square(of_unit).sum()) / tried.count)


def test_losses_are_of_observed_outcomes_of_the_served_arms(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(20))
    rows.observed[:, 1] = False
    algorithm = network(experiment)
    values = algorithm.score(rows.inputs)
    wanted = [(values[row, rows.arms[row], 0] - rows.rewards[row, 0]) ** 2 for row in range(20)]
    np.testing.assert_allclose(row_losses(algorithm, rows), wanted, rtol=1e-5)


def test_nothing_is_set_aside_for_a_linear_fit_or_from_few_rows(
    experiment: Experiment, make_experiment: Callable[..., Any], world: Any
) -> None:
    rows = world.rows(world.examples(800))
    linear = make_experiment(learner={"algorithm": "linear"})
    assert not rows_set_aside(network(linear), rows, of(linear)).any()
    assert not rows_set_aside(network(experiment), rows.take(np.arange(100)), of(experiment)).any()
    nothing = np.zeros(rows.count, dtype=bool)
    assert compare_with_linear(network(experiment), rows, nothing, of(experiment)) is None


@pytest.mark.parametrize("limit", ["MOST_COLUMNS", "MOST_CELLS"])
def test_nothing_is_set_aside_where_a_linear_fit_would_cost_minutes(
    limit: str, experiment: Experiment, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = world.rows(world.examples(800))
    linear = LinearLearning(*of(experiment))
    linear.fit(rows)
    arrays = linear.weights()
    width, arms = arrays[COEFFICIENTS][..., 0].size, experiment.action_space.arms
    width += arms if has_arm_effects(linear_arm_columns(experiment.action_space)) else 0
    cost = {"MOST_COLUMNS": width, "MOST_CELLS": arms * width**2}[limit]
    monkeypatch.setattr(f"learner.network.linear_rival.{limit}", cost)
    assert rows_set_aside(network(experiment), rows, of(experiment)).any()
    monkeypatch.setattr(f"learner.network.linear_rival.{limit}", cost - 1)
    assert not rows_set_aside(network(experiment), rows, of(experiment)).any()
