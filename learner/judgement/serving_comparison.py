"""The paired lift of a policy over the checkpoint that is serving, on the same held-out rows.

A new checkpoint may beat production and still be worse than the one that it would replace. Both are judged under one
preference, by the same estimator and with the same model of the rewards, so that only their choices differ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learner.examples.learning_rows import LearningRows
from off_policy.estimates import Refusal
from off_policy.evaluation_report import PolicyObjective
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.paired_lift import PairedLift, no_lift
from off_policy.policy_evaluation import PredictedPolicy, evaluate_predicted
from off_policy.target_policies import TargetPolicy

NOT_ASKED = "nobody asked which checkpoint is serving"
NO_LOOK = "the checkpoint that is serving is compared with in a look of the gate, and none was taken"


@dataclass(frozen=True, eq=False)
class ServingPolicy:
    """What the serving checkpoint `version` chooses in n rows.

    Without a `policy` nothing can be compared, and `detail` says why. `refusal` says why intervals on these rows would
    be wrong, for example because the checkpoint was trained on some of them.
    """

    version: str | None
    policy: TargetPolicy | None
    detail: str
    refusal: Refusal | None = None


ServingOn = Callable[[LearningRows], ServingPolicy]
"""What is serving, asked about these rows."""


@dataclass(frozen=True, eq=False)
class ServingComparison:
    """Lifts over the serving checkpoint by objective, and by cohort and objective; `detail` says it in words.

    Both are empty if there was nothing to compare with.
    """

    version: str | None = None
    detail: str = NOT_ASKED
    lifts: Mapping[str, PairedLift] = field(default_factory=dict)
    cohort_lifts: Mapping[str, Mapping[str, PairedLift]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "version": self.version,
            "detail": self.detail,
            "lifts": _as_dicts(self.lifts),
            "cohort_lifts": {cohort: _as_dicts(lifts) for cohort, lifts in self.cohort_lifts.items()},
        }


def compare_with_serving(
    log: LoggedBandit,
    judged: PredictedPolicy,
    serving: ServingPolicy,
    predicted: PredictedPolicy | None,
    q_logged: NDArray[np.float64] | None,
    requirements: EvidenceRequirements,
) -> ServingComparison:
    """The lifts of `judged` over what is serving; `predicted` is that policy with its predictions, None if it has none.

    Lifts are by DR, or by SNIPS without `q_logged` float[n, O], the predictions for the logged arms. Where both
    policies choose the same arms, in all rows or in those of a cohort, their lift is exactly zero.
    """
    if predicted is None:
        return ServingComparison(serving.version, serving.detail)
    report = evaluate_predicted(log, [judged], predicted, q_logged, requirements).policies[0]
    level, ours, theirs = requirements.level, judged.policy, predicted.policy
    same = ours.same_as(theirs)
    cohorts = {
        cohort: _lifts(scope, same or _same_arms(ours, theirs, log.cohort_rows(cohort)), serving.refusal, level)
        for cohort, scope in report.cohorts.items()
    }
    return ServingComparison(
        serving.version, serving.detail, _lifts(report.objectives, same, serving.refusal, level), cohorts
    )


def _lifts(
    objectives: Mapping[str, PolicyObjective], same: bool, refusal: Refusal | None, level: float
) -> dict[str, PairedLift]:
    lifts = {name: result.dr_lift or result.lift for name, result in objectives.items()}
    if same:
        return {name: no_lift(lift, level) for name, lift in lifts.items()}
    if refusal is None:
        return lifts
    return {name: replace(lift, interval=None, relative_interval=None, refusal=refusal) for name, lift in lifts.items()}


def _same_arms(ours: TargetPolicy, theirs: TargetPolicy, rows: NDArray[np.bool_]) -> bool:
    """Whether both play the same arms in these rows, of which there is one at least."""
    if ours.arms is None or theirs.arms is None:
        return False
    return bool(rows.any()) and np.array_equal(ours.arms[rows], theirs.arms[rows])


def _as_dicts(lifts: Mapping[str, PairedLift]) -> dict[str, Any]:
    return {name: lift.as_dict() for name, lift in lifts.items()}
