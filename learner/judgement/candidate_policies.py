"""The policies that follow from a checkpoint's values, and the baselines for comparison."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.slices import exploration_distribution
from learner.examples.learning_rows import LearningRows
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy, preference_policy, uniform_policy
from policy_store.records import ObjectiveWeights

PREFERENCE = "preference"
EQUAL_WEIGHTS = "equal_weights"
PRODUCTION = "production"
LOGGED = "logged"
UNIFORM = "uniform"


def alpha_grid(experiment: Experiment) -> list[float]:
    """`learner.alpha_steps` values from 0 to 1 for two objectives; empty otherwise, because α has no meaning then."""
    if len(experiment.objectives) != 2:
        return []
    return [round(float(alpha), 12) for alpha in np.linspace(0.0, 1.0, experiment.learner.alpha_steps)]


def alpha_family(
    q: NDArray[np.float64], experiment: Experiment, eligible: NDArray[np.bool_] | None
) -> list[TargetPolicy]:
    """One policy per value of the grid: argmax of α Q[alpha_objective] + (1 − α) Q[other] (PRL-PUTS, Eq. 5)."""
    target = experiment.preference.alpha_objective
    index = 0 if target is None else experiment.objective_names.index(target)
    grid = alpha_grid(experiment)
    return alpha_policies(q, index, grid, eligible) if grid else []


def preferred_policy(
    q: NDArray[np.float64],
    weights: ObjectiveWeights,
    cohorts: Sequence[str | None],
    eligible: NDArray[np.bool_] | None,
) -> TargetPolicy:
    """The policy that serving would follow under the weights in force, with the weights of each row's cohort.

    Serving uses no policy until people have weighed the objectives. In that case this is a policy with equal weights,
    named EQUAL_WEIGHTS, for people to inspect; the gate does not use it.

    Like serving, it computes with `preference_policy`, so that a near tie is judged on the arm that would be served.
    """
    arms = np.zeros(len(q), dtype=np.int64)
    distinct, group = np.unique(_weights_by_row(weights, cohorts, q.shape[2]), axis=0, return_inverse=True)
    for index, row_weights in enumerate(distinct):
        rows = group.reshape(-1) == index
        allowed = None if eligible is None else eligible[rows]
        chosen = preference_policy(PREFERENCE, q[rows], row_weights.tolist(), allowed).arms
        assert chosen is not None
        arms[rows] = chosen
    return TargetPolicy(PREFERENCE if weights.declared else EQUAL_WEIGHTS, arms=arms)


def baseline_policy(rows: LearningRows, experiment: Experiment) -> TargetPolicy:
    """Production weights for a grid; for a catalogue the exploring policy, whose value is the mean of the log."""
    space = experiment.action_space
    if space.kind == "grid":
        return constant_policy(PRODUCTION, space.production_arm, rows.count)
    return TargetPolicy(LOGGED, probabilities=exploration_rows(rows, experiment))


def exploration_rows(rows: LearningRows, experiment: Experiment) -> NDArray[np.float64]:
    """float64[n, arms]: the exploring policy's distribution in each row."""
    space, share = experiment.action_space, experiment.production_share
    lists = rows.frame["action_eligible"].to_list()
    known = {key: exploration_distribution(space, key, share) for key in {tuple(arms or ()) for arms in lists}}
    return np.array([known[tuple(arms or ())] for arms in lists]).reshape(rows.count, space.arms)


def uniform_over(rows: LearningRows, experiment: Experiment) -> TargetPolicy:
    """Every eligible arm with the same probability."""
    eligible = rows.eligible(experiment.action_space.arms)
    if eligible is None:
        return uniform_policy(UNIFORM, rows.count, experiment.action_space.arms)
    return TargetPolicy(UNIFORM, probabilities=eligible / eligible.sum(axis=1, keepdims=True))


def _weights_by_row(weights: ObjectiveWeights, cohorts: Sequence[str | None], objectives: int) -> NDArray[np.float64]:
    """float64[n, objectives]."""
    equal = (1.0 / objectives,) * objectives
    rows = [weights.of_cohort(cohort) or equal for cohort in cohorts]
    return np.array(rows, dtype=np.float64).reshape(len(cohorts), objectives)
