"""One contract suite for every algorithm the experiment file can name."""

from typing import Any, get_args

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import LearnerSpec
from feature_contract import FeatureContract
from learner.network.algorithm import Algorithm, make_algorithm
from learner.network.graph_session import graph_session

NAMES = get_args(LearnerSpec.model_fields["algorithm"].annotation)


@pytest.fixture(params=NAMES)
def algorithm(request: pytest.FixtureRequest, make_experiment: Any) -> Algorithm:
    learner = {"algorithm": request.param, "epochs": 1, "batch_size": 64, "state_dim": 8, "hidden_dims": [8, 8, 8]}
    experiment: Experiment = make_experiment(learner=learner)
    return make_algorithm(experiment, FeatureContract.from_experiment(experiment))


def test_it_fits_scores_saves_and_exports(algorithm: Algorithm, world: Any) -> None:
    rows = world.rows(world.examples(150))
    assert algorithm.name in NAMES
    report = algorithm.fit(rows, lambda _: None)
    assert np.isfinite(report.losses).all()
    values = algorithm.score(rows.inputs)
    assert values.shape == (150, 10, 2)
    assert values.dtype == np.float32
    assert ((values >= 0) & (values <= 1)).all()
    assert all(np.isfinite(array).all() for array in algorithm.weights().values())
    assert all(isinstance(name, str) for name in algorithm.optimiser())
    [served] = graph_session(algorithm.export(rows.inputs)).run(["q"], rows.inputs.feeds())
    np.testing.assert_allclose(served, values, atol=1e-5)
