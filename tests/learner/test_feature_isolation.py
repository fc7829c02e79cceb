"""Single groups of features: the one that decides the rewards is worth as much as all."""

from typing import Any

import numpy as np
import pytest

from learner.feature_isolation import EVERYTHING, isolated_groups
from learner.judgement.evaluation import requirements_of
from learner.network.linear_learning import LinearLearning
from learner.network.linear_rival import row_losses


def truth(users: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The user alone decides which end of the first weight is good."""
    rate = np.where((users[:, 0] > 0) == (features[:, 0] > 0.5), 0.9, 0.1)
    return np.stack([rate, rate], axis=1)


def test_the_group_that_decides_loses_nothing(experiment: Any, make_world: Any) -> None:
    world = make_world(experiment, truth=truth)
    rows = world.rows(world.examples(1600))
    training, held_out = rows.take(slice(0, 1200)), rows.take(slice(1200, 1600))
    of, told = (experiment, _contract(experiment)), list[str]()
    found = {
        each.name: each
        for each in isolated_groups(training, held_out, of, requirements_of(experiment, 0.95), told.append)
    }
    assert told == list(found) == [EVERYTHING, "user", "history", "context"]
    assert abs(found["user"].behind) < 0.02 < 0.1 < min(found["history"].behind, found["context"].behind)
    linear = LinearLearning(*of)
    linear.fit(training)
    whole = found[EVERYTHING]
    assert whole.loss == pytest.approx(row_losses(linear, held_out).mean())
    assert (whole.behind, whole.standard_error) == (0.0, 0.0)
    assert found["context"].behind > 5 * found["context"].standard_error > 0.0
    content = found["user"].as_dict()
    assert [point["alpha"] for point in content["frontier"]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert content["frontier"][2]["lifts"]["repin"]["estimator"] == "snips"


def _contract(experiment: Any) -> Any:
    from feature_contract import FeatureContract

    return FeatureContract.from_experiment(experiment)
