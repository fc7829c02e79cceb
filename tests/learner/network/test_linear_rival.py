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
from learner.network.validation_units import validation_rows


def network(experiment: Experiment) -> Algorithm:
    return make_algorithm(experiment, FeatureContract.from_experiment(experiment))


def test_what_is_ahead_by_more_than_its_error_wins() -> None:
    rival = LinearRival(rows=900, loss=0.15, linear_loss=0.14, ahead=0.01, standard_error=0.009)
    assert rival.wins and rival.sentence is not None
    assert 'set learner.algorithm = "linear"' in rival.sentence and "0.14000 against 0.15000 on 900" in rival.sentence
    even = LinearRival(rows=900, loss=0.15, linear_loss=0.14, ahead=0.01, standard_error=0.011)
    assert not even.wins and even.as_dict()["sentence"] is None


def test_an_untrained_network_loses(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(1_500))
    algorithm = network(experiment)
    aside = rows_set_aside(algorithm, rows)
    np.testing.assert_array_equal(aside, validation_rows(rows))
    rival = compare_with_linear(algorithm, rows, aside, (experiment, FeatureContract.from_experiment(experiment)))
    assert rival is not None and rival.wins
    linear = LinearLearning(experiment, FeatureContract.from_experiment(experiment))
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
    experiment: Experiment, make_experiment: Callable[..., Any], world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = world.rows(world.examples(800))
    linear = network(make_experiment(learner={"algorithm": "linear"}))
    assert not rows_set_aside(linear, rows).any()
    assert not rows_set_aside(network(experiment), rows.take(np.arange(100))).any()
    contract = FeatureContract.from_experiment(experiment)
    nothing = np.zeros(rows.count, dtype=bool)
    assert compare_with_linear(network(experiment), rows, nothing, (experiment, contract)) is None
    monkeypatch.setattr("learner.network.linear_learning.MOST_COLUMNS", 3)
    assert compare_with_linear(network(experiment), rows, validation_rows(rows), (experiment, contract)) is None
