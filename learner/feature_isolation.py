"""What each group of features is worth alone: a linear fit with only that group, and its frontier (PRL-PUTS, A.4).

The paper trains its network once for each group. A linear fit is made in closed form and takes seconds, so all groups
can be compared whenever a report is made; the fits to single groups are compared with the fit to all of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from feature_contract.model_input import (
    CONTEXT_IDS,
    CONTEXT_NUMBERS,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    HISTORY_ITEMS,
    HISTORY_MASK,
    PREVIOUS_AGES,
    PREVIOUS_MASK,
    PREVIOUS_WEIGHTS,
    USER_EMBEDDING,
)
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import alpha_family, alpha_grid, baseline_policy
from learner.judgement.predictions import predict
from learner.network.linear_learning import LinearLearning
from learner.network.linear_rival import error_of_mean, row_losses
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.policy_evaluation import PredictedPolicy, evaluate_predicted

EVERYTHING = "all features"
GROUPS = {
    "user": (USER_EMBEDDING,),
    "history": (HISTORY_ITEMS, HISTORY_ACTIONS, HISTORY_AGES, HISTORY_MASK),
    "context": (CONTEXT_IDS, CONTEXT_NUMBERS),
    "weights served before": (PREVIOUS_WEIGHTS, PREVIOUS_AGES, PREVIOUS_MASK),
}
"""The arrays of each group; the cohort is part of the context."""


@dataclass(frozen=True, eq=False)
class IsolatedGroup:
    """One group of features: the held-out loss of a fit with it alone, and the SNIPS lifts of its policies by α.

    loss            mean over held-out rows of the sum over objectives of (Q − r)²
    standard_error  that of `loss` minus the loss of the fit to all features, by user; 0 for that fit itself
    report          lifts over the baseline, without a cohort
    """

    name: str
    loss: float
    behind: float
    standard_error: float
    seconds: float
    report: EvaluationReport

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        points = [
            {
                "alpha": point.alpha,
                "on_front": point.on_front,
                "proposable": point.proposable,
                "lifts": {name: lift.as_dict() for name, lift in point.lifts.items()},
            }
            for point in self.report.frontier("snips")
        ]
        return {
            "group": self.name,
            "loss": self.loss,
            "behind": self.behind,
            "standard_error": self.standard_error,
            "seconds": self.seconds,
            "frontier": points,
        }


def isolated_groups(
    training: LearningRows,
    held_out: LearningRows,
    of: tuple[Experiment, FeatureContract],
    requirements: EvidenceRequirements,
    on_group: Callable[[str], None] = lambda _: None,
) -> tuple[IsolatedGroup, ...]:
    """All features first, then each group that the experiment has; `on_group` hears of each fit before it is made.

    Raises NothingToLearn if a fit would have too many coefficients.
    """
    present = {name: [each for each in arrays if each in training.inputs] for name, arrays in GROUPS.items()}
    chosen = {EVERYTHING: list(training.inputs)} | {name: arrays for name, arrays in present.items() if arrays}
    found: list[IsolatedGroup] = []
    whole: NDArray[np.float64] | None = None
    for name, arrays in chosen.items():
        on_group(name)
        started = time.monotonic()
        tried, linear = _only(held_out, arrays), LinearLearning(*of)
        linear.fit(_only(training, arrays))
        losses = row_losses(linear, tried)
        whole = losses if whole is None else whole
        behind = losses - whole
        report = _report(linear, tried, of[0], requirements)
        found.append(
            IsolatedGroup(
                name=name,
                loss=float(losses.mean()),
                behind=float(behind.mean()),
                standard_error=error_of_mean(behind, tried.units),
                seconds=time.monotonic() - started,
                report=report,
            )
        )
    return tuple(found)


def _only(rows: LearningRows, arrays: list[str]) -> LearningRows:
    return replace(rows, inputs=ModelInput({name: rows.inputs[name] for name in arrays}, rows.count))


def _report(
    linear: LinearLearning, rows: LearningRows, experiment: Experiment, requirements: EvidenceRequirements
) -> EvaluationReport:
    """The family over α, by SNIPS: the groups then differ in what they choose alone, and not in a model of rewards."""
    grid = alpha_grid(experiment)
    found = predict(
        rows,
        lambda positions: linear.score(rows.inputs.take(positions)),
        lambda q, part: alpha_family(q, experiment, rows.eligible(q.shape[1], part), grid),
        [],
        experiment,
    )
    log = replace(rows.logged_bandit(experiment), cohort=None)
    policies = [PredictedPolicy(each.policy) for each in found.chosen]
    return evaluate_predicted(log, policies, PredictedPolicy(baseline_policy(rows, experiment)), None, requirements)
