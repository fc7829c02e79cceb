"""Weights on objectives: from the experiment file, from a record, per cohort."""

from __future__ import annotations

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.store_errors import ContractMismatch
from serving_agent.decide.objective_preference import ObjectivePreference
from tests.serving_samples import NOW, serving_experiment


def record(default: PreferenceTarget, **cohorts: PreferenceTarget) -> PreferenceRecord:
    return PreferenceRecord(experiment="homefeed", revision=NOW, by="a person", default=default, cohorts=cohorts)


def with_objectives(*names: str) -> Experiment:
    base = serving_experiment()
    objectives = tuple(base.objectives[0].model_copy(update={"name": name}) for name in names)
    return base.model_copy(update={"objectives": objectives})


def test_alpha_multiplies_the_declared_objective() -> None:
    preference = ObjectivePreference.of_experiment(serving_experiment())
    weights = preference.weights_for(None)
    assert weights is not None
    np.testing.assert_allclose(weights, [0.9, 0.1])
    assert preference.revision == 0


def test_cohorts_override_the_default() -> None:
    written = record(PreferenceTarget(alpha=0.3), CORE=PreferenceTarget(weights={"repin": 0.25, "p2p": 0.75}))
    preference = ObjectivePreference.of_record(written, serving_experiment())
    for cohort, expected in ((None, [0.7, 0.3]), ("REST", [0.7, 0.3]), ("CORE", [0.25, 0.75])):
        weights = preference.weights_for(cohort)
        assert weights is not None
        np.testing.assert_allclose(weights, expected)
    assert preference.revision == NOW


def test_one_objective_weighs_one() -> None:
    experiment = with_objectives("click")
    for preference in (
        ObjectivePreference.of_experiment(experiment),
        ObjectivePreference.of_record(record(PreferenceTarget(alpha=0.5)), experiment),
    ):
        weights = preference.weights_for("CORE")
        assert weights is not None
        assert weights.tolist() == [1.0]


def test_three_objectives_wait_for_people() -> None:
    experiment = with_objectives("a", "b", "c")
    assert ObjectivePreference.of_experiment(experiment).weights_for(None) is None
    written = record(PreferenceTarget(weights={"a": 0.5, "b": 0.25, "c": 0.25}))
    weights = ObjectivePreference.of_record(written, experiment).weights_for(None)
    assert weights is not None
    assert weights.tolist() == [0.5, 0.25, 0.25]


def test_a_record_for_other_objectives_is_refused() -> None:
    with pytest.raises(ContractMismatch):
        ObjectivePreference.of_record(record(PreferenceTarget(weights={"x": 1.0})), serving_experiment())
