"""Which weights hold, case by case of the module's table."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.experiment import Experiment
from policy_store.records.objective_weights import (
    ObjectiveWeights,
    initial_target,
    judged_under,
    same_weights,
    weights_of,
)
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.store_errors import ContractMismatch, RecordMalformed
from tests.serving_samples import NOW, serving_experiment

TWO = serving_experiment()


def with_objectives(*names: str) -> Experiment:
    objectives = tuple(TWO.objectives[0].model_copy(update={"name": name}) for name in names)
    return TWO.model_copy(update={"objectives": objectives})


def record(default: PreferenceTarget, **cohorts: PreferenceTarget) -> PreferenceRecord:
    return PreferenceRecord(experiment="homefeed", revision=NOW, by="ada", default=default, cohorts=cohorts)


def test_before_people_decide_two_objectives_have_the_files_alpha() -> None:
    weights = ObjectiveWeights.in_force(TWO)
    assert (weights.revision, weights.default, weights.cohorts) == (0, (0.9, 0.1), {})
    assert initial_target(TWO) == PreferenceTarget.of(alpha=0.1)


@pytest.mark.parametrize(
    "written", [None, record(PreferenceTarget.of(alpha=0.5)), record(PreferenceTarget.of(weights={"gone": 1.0}))]
)
def test_one_objective_weighs_one_whatever_a_record_says(written: PreferenceRecord | None) -> None:
    one = with_objectives("click")
    weights = ObjectiveWeights.in_force(one, written)
    assert [weights.of_cohort(cohort) for cohort in (None, "CORE")] == [(1.0,), (1.0,)]
    assert weights.declared
    assert initial_target(one) == PreferenceTarget.of(weights={"click": 1.0})


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "b", "c", "d")])
def test_several_objectives_have_no_weights_before_people_decide(names: tuple[str, ...]) -> None:
    weights = ObjectiveWeights.in_force(with_objectives(*names))
    assert not weights.declared
    assert [weights.of_cohort(cohort) for cohort in (None, "CORE")] == [None, None]
    assert weights.as_dict() == {"revision": 0, "default": None, "cohorts": {}}
    assert initial_target(with_objectives(*names)) is None


def test_people_weigh_three_objectives_by_name() -> None:
    target = PreferenceTarget.of(weights={"c": 0.25, "a": 0.5, "b": 0.25})
    weights = ObjectiveWeights.in_force(with_objectives("a", "b", "c"), record(target))
    assert weights.declared
    assert weights.of_cohort("CORE") == weights.default == (0.5, 0.25, 0.25)


@given(st.floats(0, 1))
def test_alpha_multiplies_the_declared_objective(alpha: float) -> None:
    assert weights_of(PreferenceTarget.of(alpha=alpha), TWO) == (1.0 - alpha, alpha)
    first = TWO.model_copy(update={"preference": TWO.preference.model_copy(update={"alpha_objective": "repin"})})
    assert weights_of(PreferenceTarget.of(alpha=alpha), first) == (alpha, 1.0 - alpha)


def test_a_cohort_has_its_own_target_and_every_other_the_default() -> None:
    core, vip = PreferenceTarget.of(weights={"repin": 0.25, "p2p": 0.75}), PreferenceTarget.of(alpha=0.5)
    weights = ObjectiveWeights.in_force(TWO, record(PreferenceTarget.of(alpha=0.25), CORE=core, VIP=vip))
    found = {cohort: weights.of_cohort(cohort) for cohort in (None, "", "REST", "CORE", "VIP")}
    default = (0.75, 0.25)
    assert found == {None: default, "": default, "REST": default, "CORE": (0.25, 0.75), "VIP": (0.5, 0.5)}
    assert json.loads(json.dumps(weights.as_dict())) == {
        "revision": NOW,
        "default": [0.75, 0.25],
        "cohorts": {"CORE": [0.25, 0.75], "VIP": [0.5, 0.5]},
    }


@pytest.mark.parametrize(
    ("experiment", "target"),
    [
        (TWO, PreferenceTarget.of(weights={"repin": 0.5, "hide": 0.5})),
        (TWO, PreferenceTarget.of(weights={"repin": 1.0})),
        (TWO, PreferenceTarget.of(weights={"repin": 0.5, "p2p": 0.25, "hide": 0.25})),
        (with_objectives("a", "b", "c"), PreferenceTarget.of(alpha=0.5)),
    ],
)
def test_one_target_that_does_not_fit_refuses_the_whole_record(
    experiment: Experiment, target: PreferenceTarget
) -> None:
    fitting = PreferenceTarget.of(weights=dict.fromkeys(experiment.objective_names, 1 / len(experiment.objectives)))
    for written in (record(target), record(target, CORE=fitting), record(fitting, CORE=target)):
        with pytest.raises(ContractMismatch):
            ObjectiveWeights.in_force(experiment, written)


def test_weights_sum_to_one_within_a_billionth_and_are_taken_as_written() -> None:
    with pytest.raises(RecordMalformed, match="sum to 1"):
        PreferenceTarget.of(weights={"repin": 0.5, "p2p": 0.5 + 2e-9})
    near = PreferenceTarget.of(weights={"repin": 0.5, "p2p": 0.5 + 5e-10})
    assert ObjectiveWeights.in_force(TWO, record(near)).default == (0.5, 0.5 + 5e-10)


@pytest.mark.parametrize(
    "weights", [ObjectiveWeights(0, None), ObjectiveWeights(7, (0.25, 0.75), {"CORE": (1.0, 0.0)})]
)
def test_weights_survive_a_manifest(weights: ObjectiveWeights) -> None:
    assert ObjectiveWeights.from_dict(json.loads(json.dumps(weights.as_dict()))) == weights


def test_preferences_are_the_same_up_to_the_six_decimals_in_which_they_are_written() -> None:
    assert same_weights((0.1, 0.9), (0.1 + 9e-7, 0.9 - 9e-7))
    assert not same_weights((0.1, 0.9), (0.1 + 2e-6, 0.9 - 2e-6))


@pytest.mark.parametrize(
    ("then", "same"),
    [
        ({"revision": 3, "default": [0.7, 0.3], "cohorts": {"CORE": [0.5, 0.5]}}, True),
        ({"revision": 9, "default": [0.6, 0.4], "cohorts": {"CORE": [0.5, 0.5]}}, False),
        ({"revision": 9, "default": [0.7, 0.3], "cohorts": {}}, False),
        ({"revision": 9, "default": [0.7, 0.3], "cohorts": {"CORE": [0.5, 0.5], "NEW": [0.1, 0.9]}}, False),
        ({"revision": 9, "default": [0.7, 0.3], "cohorts": {"CORE": [0.5, 0.5], "NEW": [0.7, 0.3]}}, True),
        ({"revision": 9, "default": None, "cohorts": {}}, False),
        ({"revision": 9, "default": [1.0], "cohorts": {}}, False),
        ({"revision": 9, "default": ["a", "b"], "cohorts": {}}, False),
        ({"revision": 9, "default": [0.7, 0.3], "cohorts": []}, False),
        ({"default": [0.7, 0.3]}, False),
        (7, False),
        (None, False),
    ],
)
def test_a_checkpoint_was_judged_under_equal_weights_for_everybody_or_not(then: object, same: bool) -> None:
    weights = ObjectiveWeights(9, (0.7, 0.3), {"CORE": (0.5, 0.5)})
    assert judged_under(weights, {"preference": then}) is same
    assert judged_under(weights, {}) is False
