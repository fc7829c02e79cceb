"""Uplift by decile of predicted gain: whether requests for which a model promises more do gain more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from off_policy.evaluation_report import PolicyObjective
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.paired_lift import PairedLift
from off_policy.policy_evaluation import PredictedPolicy, evaluate_predicted

DECILES = 10


@dataclass(frozen=True, slots=True)
class UpliftDecile:
    """The rows of one decile: their number, the mean gain that the model predicts, and the lift that the log shows.

    Both are differences of mean rewards per request. `lift` is by SNIPS, which the model does not enter.
    """

    rows: int
    predicted: float
    lift: PairedLift

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"rows": self.rows, "predicted": self.predicted, "lift": self.lift.as_dict()}


def uplift_deciles(
    log: LoggedBandit,
    policy: PredictedPolicy,
    baseline: PredictedPolicy,
    objective: str,
    requirements: EvidenceRequirements,
) -> tuple[UpliftDecile, ...]:
    """Ten groups of nearly equal size by the gain that the model predicts for one objective, the least first.

    Needs the expected values of both policies. Rows in which the objective was not observed are left out.
    """
    assert policy.expected is not None and baseline.expected is not None
    column = log.objectives.index(objective)
    gain = policy.expected[:, column] - baseline.expected[:, column]
    decile = deciles_of(gain, np.flatnonzero(log.observed[:, column]))
    names = np.array([None if number < 0 else f"{number}" for number in decile.tolist()], dtype=object)
    grouped = replace(log, cohort=names)
    report = evaluate_predicted(
        grouped, [PredictedPolicy(policy.policy)], PredictedPolicy(baseline.policy), None, requirements
    )
    cohorts = report.policies[0].cohorts
    found = []
    for number in sorted({int(each) for each in decile.tolist() if each >= 0}):
        lifts: PolicyObjective = cohorts[f"{number}"][objective]
        rows = decile == number
        found.append(UpliftDecile(int(rows.sum()), float(gain[rows].mean()), lifts.lift))
    return tuple(found)


def deciles_of(values: FloatArray, rows: IntArray) -> IntArray:
    """int[n]: the decile of each of `rows` by its value, from 0; -1 for the other rows. Ties keep the rows' order."""
    found = np.full(len(values), -1, dtype=np.int64)
    order = rows[np.argsort(values[rows], kind="stable")]
    for number, part in enumerate(np.array_split(order, DECILES)):
        found[part] = number
    return found
