"""The policies of a question, in order, with what a checkpoint predicts for them."""

from typing import Any

import pytest

from learner.asked_policies import UnknownArm, arm_named, asked_policies, judged_by
from learner.judgement.serving_comparison import ServingPolicy
from learner.judgement.table_policy import TableLayout
from policy_store.records.objective_weights import ObjectiveWeights

NOTHING = ServingPolicy(None, None, "nothing serves")


def test_the_baseline_is_first_and_a_learned_policy_brings_its_family(trained: Any, world: Any) -> None:
    rows, checkpoint, experiment = world.rows(world.examples(40)), trained.report.checkpoint, trained.learner.experiment
    logged, found = asked_policies("learned", TableLayout(), rows, checkpoint, experiment, NOTHING)
    names = [each.policy.name for each in found]
    assert names == ["production", "preference", "alpha=0", "alpha=0.25", "alpha=0.5", "alpha=0.75", "alpha=1"]
    assert logged is not None and logged.shape == (40, 2) and (logged > 0.0).all()
    assert all(each.expected is not None and each.expected.shape == (40, 2) for each in found)


def test_without_a_checkpoint_nothing_is_predicted(trained: Any, world: Any) -> None:
    rows, experiment = world.rows(world.examples(40)), trained.learner.experiment
    logged, found = asked_policies("arm:production", TableLayout(), rows, None, experiment, NOTHING)
    assert logged is None and [each.expected for each in found] == [None, None]
    assert found[0].policy.same_as(found[1].policy)


def test_arms_have_names_and_checkpoints_a_preference(trained: Any) -> None:
    experiment = trained.learner.experiment
    assert arm_named("production", experiment.action_space) == experiment.action_space.production_arm
    with pytest.raises(UnknownArm, match="no arm 'x'"):
        arm_named("x", experiment.action_space)
    assert judged_by(trained.report.checkpoint, experiment) == ObjectiveWeights.in_force(experiment)
