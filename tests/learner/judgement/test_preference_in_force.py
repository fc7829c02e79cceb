"""Which weights count for whom."""

from collections.abc import Callable

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from learner.judgement.preference_in_force import PreferenceInForce
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.store_errors import ContractMismatch


def test_alpha_weighs_its_own_objective(experiment: Experiment) -> None:
    start = PreferenceInForce.of_experiment(experiment)
    assert start.default == pytest.approx((0.7, 0.3))  # alpha 0.3 on p2p, the second objective
    assert start.revision == 0


def test_cohorts_have_their_own_weights_and_others_the_default(experiment: Experiment) -> None:
    record = PreferenceRecord(
        experiment="small",
        revision=9,
        by="board",
        default=PreferenceTarget(alpha=0.1),
        cohorts={"CORE": PreferenceTarget(weights={"repin": 0.25, "p2p": 0.75})},
    )
    preference = PreferenceInForce.of_record(record, experiment)
    np.testing.assert_allclose(
        preference.weights_by_row(["CORE", "REST", None]), [[0.25, 0.75], [0.9, 0.1], [0.9, 0.1]]
    )
    assert preference.weights_by_row([]).shape == (0, 2)
    assert preference.as_dict()["revision"] == 9


def test_one_objective_needs_no_preference_and_three_do(make_experiment: Callable[..., Experiment]) -> None:
    kinds = [{"name": name, "kinds": [name], "attribution": "1m"} for name in ("a", "b", "c")]
    one = make_experiment(objectives=kinds[:1], preference={})
    assert PreferenceInForce.of_experiment(one) == PreferenceInForce(0, (1.0,), {})
    three = PreferenceInForce.of_experiment(make_experiment(objectives=kinds, preference={}))
    assert not three.declared
    assert sum(three.default) == pytest.approx(1.0)


def test_a_record_for_other_objectives_is_refused(experiment: Experiment) -> None:
    record = PreferenceRecord(
        experiment="small", revision=1, by="board", default=PreferenceTarget(weights={"clicks": 1.0})
    )
    with pytest.raises(ContractMismatch):
        PreferenceInForce.of_record(record, experiment)
