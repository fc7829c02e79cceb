"""One record, one meaning: what a node serves by is what the learner judges by, down to the arm of every request."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from event_schemas.experiment import Experiment
from learner.judgement.candidate_policies import EQUAL_WEIGHTS, PREFERENCE, preferred_policy
from policy_store.decisions.verified_reading import read_preference_verified
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.preference_record import PreferenceTarget
from serving_agent.decide.scoring import best_arm
from serving_agent.pickup.preference_watch import PreferenceWatch
from tests.policy_store.store_samples import set_preference
from tests.serving_samples import NOW, StoreDesk, serving_experiment

COHORTS = (None, "CORE", "REST", "NEW")


def with_objectives(count: int) -> Experiment:
    base = serving_experiment()
    names = [objective.name for objective in base.objectives] + ["hide", "share"]
    objectives = tuple(base.objectives[0].model_copy(update={"name": name}) for name in names[:count])
    return base.model_copy(update={"objectives": objectives})


@st.composite
def targets(draw: st.DrawFn, experiment: Experiment) -> PreferenceTarget:
    """Any target that fits the experiment."""
    if len(experiment.objectives) == 2 and draw(st.booleans()):
        return PreferenceTarget.of(alpha=draw(st.floats(0, 1)))
    parts = [draw(st.integers(0, 8)) for _ in experiment.objectives]
    total = sum(parts) or len(parts)
    shares = [part / total for part in parts] if sum(parts) else [1 / total] * total
    return PreferenceTarget.of(weights=dict(zip(experiment.objective_names, shares, strict=True)))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_serving_and_learner_take_the_same_weights_and_arms_from_one_store(data: st.DataObject) -> None:
    experiment = with_objectives(data.draw(st.integers(1, 4), label="objectives"))
    desk = StoreDesk(experiment)
    if data.draw(st.booleans(), label="people have decided"):
        cohorts = data.draw(st.dictionaries(st.sampled_from(["CORE", "NEW"]), targets(experiment)))
        set_preference(desk.store, data.draw(targets(experiment)), desk.decider(), trust=desk.rule)
        for name, target in cohorts.items():
            set_preference(desk.store, target, desk.decider(), cohort=name, trust=desk.rule)
    watch = PreferenceWatch(experiment, desk.rule)
    watch.poll(desk.store, NOW)
    assert watch.fault is None
    judged_by = ObjectiveWeights.in_force(experiment, read_preference_verified(desk.store, desk.rule))
    assert watch.preference == judged_by

    shape = (len(COHORTS), 5, len(experiment.objectives))
    # A coarse grid, so that arms tie.
    q = data.draw(arrays.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.1, 0.2, 0.7])), label="q")
    judged = preferred_policy(q.astype(np.float64), judged_by, COHORTS, None)
    assert judged.arms is not None
    assert judged.name == (PREFERENCE if judged_by.declared else EQUAL_WEIGHTS)
    for row, (cohort, arm) in enumerate(zip(COHORTS, judged.arms, strict=True)):
        weights = watch.preference.of_cohort(cohort)
        assert weights is None or best_arm(q[row], weights, ()) == arm
    assert judged_by.declared or len(experiment.objectives) > 2
