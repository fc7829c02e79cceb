"""The paired lift of a policy over the checkpoint that is serving, on the same held-out rows.

A new checkpoint may beat production and still be worse than the one that it would replace. Both are judged under one
preference, by the same estimator and with the same model of the rewards, so that only their choices differ.
"""

from collections.abc import Callable, Mapping, Sequence
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
from off_policy.policy_evaluation import PredictedPolicy, evaluate_policies, evaluate_predicted
from off_policy.target_policies import TargetPolicy

NOT_ASKED = "nobody asked which checkpoint is serving"
NO_LOOK = "the checkpoint that is serving is compared with in a look of the gate, and none was taken"


@dataclass(frozen=True, eq=False)
class ServingPolicy:
    """What the serving checkpoint `version` chooses in n rows.

    Without a `policy` nothing can be compared, and `detail` says why. `refusal` says why intervals on these rows would
    be wrong, for example because the checkpoint was trained on some of them. `same_preference`: it was judged under
    the preference that is in force, and serves all rows. `production_serves`: no checkpoint serves, as far as is known.
    """

    version: str | None
    policy: TargetPolicy | None
    detail: str
    refusal: Refusal | None = None
    same_preference: bool = False
    production_serves: bool = False


ServingOn = Callable[[LearningRows], ServingPolicy]
"""What is serving, asked about these rows."""


@dataclass(frozen=True, eq=False)
class ServingComparison:
    """Lifts over the serving checkpoint by objective, by cohort and objective, and by watched outcome.

    All are empty if there was nothing to compare with; `detail` says why. `same_preference` is that of the
    ServingPolicy.
    """

    version: str | None = None
    detail: str = NOT_ASKED
    lifts: Mapping[str, PairedLift] = field(default_factory=dict)
    cohort_lifts: Mapping[str, Mapping[str, PairedLift]] = field(default_factory=dict)
    watched_lifts: Mapping[str, PairedLift] = field(default_factory=dict)
    same_preference: bool = False

    def judges(self, guardrails: Sequence[str]) -> bool:
        """Whether the gate may hold a checkpoint against the one that serves.

        It may if the preference is the same, so that this is a refresh, and every lift has an interval: refusals depend
        on nothing that the judged rows earned.
        """
        asked = [*self.lifts.values(), *(self.watched_lifts[name] for name in guardrails if name in self.watched_lifts)]
        whole = all(name in self.watched_lifts for name in guardrails)
        return self.same_preference and bool(self.lifts) and whole and all(lift.gateable for lift in asked)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "version": self.version,
            "detail": self.detail,
            "lifts": _as_dicts(self.lifts),
            "cohort_lifts": {cohort: _as_dicts(lifts) for cohort, lifts in self.cohort_lifts.items()},
            "watched_lifts": _as_dicts(self.watched_lifts),
            "same_preference": self.same_preference,
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
        version=serving.version,
        detail=serving.detail,
        lifts=_lifts(report.objectives, same, serving.refusal, level),
        cohort_lifts=cohorts,
        same_preference=serving.same_preference,
    )


def with_watched(
    comparison: ServingComparison,
    log: LoggedBandit,
    judged: TargetPolicy,
    serving: ServingPolicy,
    requirements: EvidenceRequirements,
) -> ServingComparison:
    """The comparison with the lifts of what is only watched, the outcomes of `log`; unchanged without a policy."""
    if serving.policy is None:
        return comparison
    report = evaluate_policies(log, [judged], serving.policy, None, requirements).policies[0]
    same = judged.same_as(serving.policy)
    lifts = _lifts(report.objectives, same, serving.refusal, requirements.level)
    return replace(comparison, watched_lifts=lifts)


def _lifts(
    objectives: Mapping[str, PolicyObjective], same: bool, refusal: Refusal | None, level: float
) -> dict[str, PairedLift]:
    lifts = {name: result.judged_lift for name, result in objectives.items()}
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
