"""The policies that follow from a checkpoint's values, and the baselines for comparison."""

from collections.abc import Sequence

import numpy as np
import structlog
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.experiment import Experiment
from event_schemas.shown_text import shown
from event_schemas.slices import exploration_distribution
from learner.examples.learning_rows import LearningRows
from off_policy.row_distributions import SharedDistributions
from off_policy.target_policies import TargetPolicy, alpha_policies, constant_policy, preference_policy, uniform_policy
from policy_store.records import ObjectiveWeights

PREFERENCE = "preference"
EQUAL_WEIGHTS = "equal_weights"
PRODUCTION = "production"
LOGGED = "logged"
UNIFORM = "uniform"
log = structlog.get_logger(__name__)


def alpha_grid(experiment: Experiment) -> list[float]:
    """`learner.alpha_steps` values from 0 to 1 for two objectives; empty otherwise, because α has no meaning then."""
    if len(experiment.objective_names) != 2:
        return []
    return [round(float(alpha), 12) for alpha in np.linspace(0.0, 1.0, experiment.learner.alpha_steps)]


def alpha_family(
    q: NDArray[np.float64], experiment: Experiment, eligible: NDArray[np.bool_] | None, grid: Sequence[float]
) -> list[TargetPolicy]:
    """One policy per value of the `grid`: argmax of α Q[alpha_objective] + (1 − α) Q[other] (PRL-PUTS, Eq. 5)."""
    target = experiment.preference.alpha_objective
    index = 0 if target is None else experiment.objective_names.index(target)
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
    distinct, group = np.unique(weights_by_row(weights, cohorts, q.shape[2]), axis=0, return_inverse=True)
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
    return TargetPolicy(LOGGED, probabilities=exploration_by_row(rows, experiment))


def comparable_places(rows: LearningRows, experiment: Experiment, arm: int | None = None) -> NDArray[np.int64]:
    """The positions of the rows in which exploration could draw the baseline, and `arm` if one is named.

    The others say nothing about it: its weights there are 0 whatever it earns, so that its value and every lift over it
    would be biased. They are counted in the log. If no row could draw an arm, it bounds nothing: the evaluation then
    refuses it for lack of matched rows.
    """
    space, comparable = experiment.action_space, np.ones(rows.count, dtype=np.bool_)
    named = [] if space.kind == "catalogue" else [space.production_arm]
    for each in named if arm is None else [*named, arm]:
        drawable = _drawable(rows, each, space)
        if drawable.all() or not drawable.any():
            continue
        comparable &= drawable
        name = shown(space.arm_names[each])
        log.warning("rows that could not explore an arm left out", arm=name, rows=int((~drawable).sum()))
    return np.flatnonzero(comparable)


def _drawable(rows: LearningRows, arm: int, space: ActionSpace) -> NDArray[np.bool_]:
    """bool[n]: whether exploration could draw the arm, as far as the row says."""
    allowed = rows.eligible_lists.allows(arm)
    if space.kind != "catalogue" and arm == space.production_arm:
        allowed &= ~(rows.settings.recomputed & (rows.settings.production_shares == 0.0))
    if space.kind == "box":
        allowed &= rows.propensities < 1.0
    drawable: NDArray[np.bool_] = allowed | (rows.arms == arm)
    return drawable


def exploration_by_row(rows: LearningRows, experiment: Experiment) -> SharedDistributions:
    """The exploring policy's distribution in each row, by the row's own exploration settings.

    Rows that allow the same arms, with production at the same share, have one together.
    """
    space, lists = experiment.action_space, rows.eligible_lists
    shares, share_of = np.unique(rows.settings.production_shares, return_inverse=True)

    def explored(groups: NDArray[np.int64]) -> NDArray[np.float64]:
        listed, own = lists.lists(groups // len(shares)), shares[groups % len(shares)].tolist()
        found = [exploration_distribution(space, arms, share) for arms, share in zip(listed, own, strict=True)]
        return np.array(found).reshape(len(groups), space.arms)

    return SharedDistributions(lists.group * len(shares) + share_of.reshape(-1), space.arms, explored)


def uniform_over(rows: LearningRows, experiment: Experiment) -> TargetPolicy:
    """Every eligible arm with the same probability."""
    lists, arms = rows.eligible_lists, experiment.action_space.arms
    if lists.all_allowed:
        return uniform_policy(UNIFORM, rows.count, arms)

    def uniform(groups: NDArray[np.int64]) -> NDArray[np.float64]:
        allowed = lists.masks(groups, arms)
        shares: NDArray[np.float64] = allowed / allowed.sum(axis=1, keepdims=True)
        return shares

    return TargetPolicy(UNIFORM, probabilities=SharedDistributions(lists.group, arms, uniform))


def weights_by_row(weights: ObjectiveWeights, cohorts: Sequence[str | None], objectives: int) -> NDArray[np.float64]:
    """float64[n, objectives]: the weights of each row's cohort, equal ones where nobody has weighed the objectives."""
    equal = (1.0 / objectives,) * objectives
    rows = [weights.of_cohort(cohort) or equal for cohort in cohorts]
    return np.array(rows, dtype=np.float64).reshape(len(cohorts), objectives)
