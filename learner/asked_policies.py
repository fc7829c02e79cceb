"""The policies that a question is about, on the rows that answer it, with what a checkpoint predicts for them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.shown_text import listed, shown
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.graph_answers import GraphAnswers, learned_arm_policies
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import (
    PRODUCTION,
    UNIFORM,
    alpha_family,
    alpha_grid,
    baseline_policy,
    preferred_policy,
    uniform_over,
)
from learner.judgement.predictions import Choose, predict
from learner.judgement.serving_comparison import ServingPolicy
from learner.judgement.table_policy import TableLayout, read_table, table_policy
from off_policy.policy_evaluation import PredictedPolicy
from off_policy.target_policies import TargetPolicy, constant_policy
from policy_store.records import ObjectiveWeights, PreferenceTarget, weights_of

LEARNED = "learned"
ARM = "arm:"
"""Begins the name of a policy that serves one arm to everybody."""


class UnknownArm(TrimtabError):
    """The experiment has no arm with this name."""


def judged_by(checkpoint: Checkpoint, experiment: Experiment) -> ObjectiveWeights:
    """The weights by which the gate judged the checkpoint; the file's if it is older than their place there."""
    found = checkpoint.manifest.evaluation.get("preference")
    return ObjectiveWeights.in_force(experiment) if found is None else ObjectiveWeights.from_dict(found)


def asked_policies(
    policy: str,
    layout: TableLayout,
    rows: LearningRows,
    checkpoint: Checkpoint | None,
    experiment: Experiment,
    serving: ServingPolicy,
) -> tuple[NDArray[np.float64] | None, list[PredictedPolicy]]:
    """(predictions for the logged arms, the baseline with the policies in question and then the one that is serving).

    Only a checkpoint's values are a model of the rewards; without them there are no predictions.
    """
    served = [] if serving.policy is None else [serving.policy]
    baseline, *policies = _stated(policy, layout, rows, experiment)
    if checkpoint is None:
        return None, [PredictedPolicy(each) for each in (baseline, *policies, *served)]
    answers = GraphAnswers(checkpoint, rows, judged_by(checkpoint, experiment))
    if checkpoint.manifest.answer != "values":
        learned = learned_arm_policies(answers, rows, experiment)
        return None, [PredictedPolicy(each) for each in (baseline, *learned, *served)]
    choose = _choice(answers, rows, experiment) if policy == LEARNED else lambda _q, _part: []
    found = predict(rows, answers.score, choose, [baseline, *policies, *served], experiment)
    first, *others = found.stated
    return found.logged, [first, *found.chosen, *others]


def _choice(answers: GraphAnswers, rows: LearningRows, experiment: Experiment) -> Choose:
    """The policy that serves by a checkpoint's values, and those of all α."""
    grid = [] if answers.pinned else alpha_grid(experiment)  # under another preference it is not served
    cohorts = rows.frame["request_cohort"].to_list()

    def choose(q: NDArray[np.float64], part: slice) -> list[TargetPolicy]:
        eligible = rows.eligible(q.shape[1], part)
        preferred = preferred_policy(q, answers.weights, cohorts[part], eligible)
        if not answers.takes_preference:
            return [preferred, *alpha_family(q, experiment, eligible, grid)]
        swept, positions = [preferred], np.arange(part.start, part.stop)
        for alpha in grid:  # the values themselves depend on it
            of_alpha = answers.score(positions, weights_of(PreferenceTarget.of(alpha=alpha), experiment))
            swept += alpha_family(of_alpha, experiment, eligible, [alpha])
        return swept

    return choose


def arm_named(name: str, space: ActionSpace) -> int:
    """The number of the arm with this name. Raises UnknownArm, which lists the names."""
    if name not in space.arm_names:
        raise UnknownArm(
            f"the experiment has no arm {shown(name)}; its {space.arms:,} arms are {listed(space.arm_names)}",
            fix="name one of the experiment file's arms, such as arm:" + space.arm_names[space.production_arm],
        )
    return space.arm_names.index(name)


def _stated(policy: str, layout: TableLayout, rows: LearningRows, experiment: Experiment) -> list[TargetPolicy]:
    """The baseline, and the policy in question unless it is learned."""
    space, baseline = experiment.action_space, baseline_policy(rows, experiment)
    if policy == LEARNED:
        return [baseline]
    if policy == UNIFORM:
        return [baseline, uniform_over(rows, experiment)]
    if policy == PRODUCTION:
        return [baseline, constant_policy(PRODUCTION, space.production_arm, rows.count)]
    if policy.startswith(ARM):
        arm = arm_named(policy.removeprefix(ARM), space)
        return [baseline, constant_policy(policy, arm, rows.count)]
    path = Path(policy)
    table = read_table(path, layout, space)
    return [baseline, table_policy(path.stem, table, rows, layout)]
