"""What an evaluation needs of a model's values, per row: those of the logged arm and the expected one of each policy.

The values of all arms, float[n, arms, objectives], take 16 kB a row with 1,000 arms and two objectives. So one pass
scores a block of rows, lets the policies choose in it, and keeps only their arms and values.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from learner.examples.learning_rows import LearningRows, clips
from off_policy.logged_bandit import EvaluationError, require_shape
from off_policy.policy_evaluation import PredictedPolicy
from off_policy.row_distributions import row_blocks
from off_policy.target_policies import TargetPolicy

Score = Callable[[NDArray[np.int64]], NDArray[np.floating[Any]]]
"""The values float[k, arms, objectives] of the rows at these positions."""
Choose = Callable[[NDArray[np.float64], slice], Sequence[TargetPolicy]]
"""The policies that follow from the values of the rows of a slice, for these rows: the same ones for every slice."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """`logged` float64[n, objectives] are the values of the logged arms; `chosen` are the policies that follow from the
    values, `stated` those that were given; each has its expected values.

    All values are in the objectives' own units: what a network predicts, in units of the clip, times the clip."""

    logged: NDArray[np.float64]
    chosen: tuple[PredictedPolicy, ...]
    stated: tuple[PredictedPolicy, ...]


def predict(
    rows: LearningRows, score: Score, choose: Choose, stated: Sequence[TargetPolicy], experiment: Experiment
) -> Predictions:
    """Score every row once; `score` and `choose` have values as the network predicts them, in units of the clips.

    Raises EvaluationError for values of another shape, or if one is not finite.
    """
    arms, objectives = experiment.action_space.arms, len(experiment.objective_names)
    units = clips(experiment.optimised)
    logged = np.empty((rows.count, objectives))
    chosen_in, expected_in = list[Sequence[TargetPolicy]](), list[list[NDArray[np.float64]]]()
    for part in row_blocks(rows.count, arms * objectives):
        positions = np.arange(part.start, part.stop)
        q = np.asarray(score(positions), dtype=np.float64)
        require_shape("the predicted values", q, (len(positions), arms, objectives))
        if not np.isfinite(q).all():
            raise EvaluationError("a predicted value is not finite", fix="train again; the loss diverged")
        logged[part] = q[np.arange(len(q)), rows.arms[part]] * units
        chosen_in.append(choose(q, part))
        expected = [policy.expected(q) * units for policy in chosen_in[-1]]
        expected_in.append([*expected, *(policy.expected(q, part) * units for policy in stated)])
    policies = [*(_joined(parts) for parts in zip(*chosen_in, strict=True)), *stated]
    values = [np.concatenate(parts) for parts in zip(*expected_in, strict=True)]
    predicted = tuple(PredictedPolicy(*pair) for pair in zip(policies, values, strict=True))
    count = len(predicted) - len(stated)
    return Predictions(logged, predicted[:count], predicted[count:])


def _joined(parts: Sequence[TargetPolicy]) -> TargetPolicy:
    """One policy on all rows, from its parts on consecutive blocks of them."""
    arms = [part.arms for part in parts if part.arms is not None]
    assert len(arms) == len(parts), "a policy that follows from values plays one arm in each row"
    return replace(parts[0], arms=np.concatenate(arms))
