"""Probe requests can be encoded under any contract."""

from __future__ import annotations

import numpy as np

from event_schemas.experiment_sections import ContextSpec, FeatureSpec
from feature_contract import FeatureContract
from serving_agent.pickup.probe_requests import LEVELS, probe_requests
from tests.serving_samples import serving_experiment


def test_every_feature_is_there() -> None:
    features = FeatureSpec(
        user_embedding_dim=3,
        history_length=2,
        item_embedding_dim=2,
        previous_length=2,
        context=(
            ContextSpec(name="surface", required=True),
            ContextSpec(name="hour", kind="number", required=True),
        ),
    )
    experiment = serving_experiment().model_copy(update={"features": features})
    batch = FeatureContract.from_experiment(experiment).encode(probe_requests(experiment))
    assert batch.rows == len(LEVELS)
    np.testing.assert_array_equal(batch["context_numbers"][:, 0], np.array(LEVELS, dtype=np.float32))
    assert batch["history_mask"].sum(axis=1).tolist() == [0, 1, 2, 2]
    assert batch["previous_mask"].sum(axis=1).tolist() == [0, 1, 2, 2]
    np.testing.assert_allclose(batch["previous_weights"][1:, 0], [[level, level] for level in LEVELS[1:]], rtol=1e-6)


def test_an_experiment_without_features_has_probes_too() -> None:
    experiment = serving_experiment(features={"user_embedding_dim": 0})
    assert len(probe_requests(experiment)) == len(LEVELS)
