"""MIPS: importance weights of what an arm is like, and not of the arm itself (Saito and Joachims 2022, section 3).

Arms with equal features e share a weight, w(x, e) = Σ_{a: e_a = e} π(a | x) / Σ_{a: e_a = e} μ(a | x), so a logged arm
counts for every arm like it, and weights are smaller than those of IPS. V = mean(w(x, e) r) is unbiased if the reward
depends on the arm through its features alone (their assumption 3.2). No log can show that, so it is for display only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from off_policy.estimates import Estimate, build_estimate
from off_policy.evaluation_report import EvaluationReport, PolicyObjective, PolicyReport
from off_policy.importance_weights import evidence_of
from off_policy.inverse_propensity import biased_outcome, mean_and_error
from off_policy.logged_bandit import LoggedBandit, require_shape
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.row_distributions import RowDistributions, row_blocks
from off_policy.sampling_design import BY_ROW, SamplingDesign
from off_policy.target_policies import TargetPolicy


@dataclass(frozen=True, slots=True, eq=False)
class SharedFeatures:
    """Which arms are alike, and how often the log's arms were explored.

    classes  int[arms]  arms with one number have equal features
    logged   float[n]   Σ μ(a | x) over the arms that are like the row's logged arm; positive
    """

    classes: IntArray
    logged: FloatArray


def feature_classes(features: npt.NDArray[np.floating]) -> IntArray | None:
    """int[arms]: one number for arms with equal `features` [arms, features]; None if no two arms are alike."""
    found, classes = np.unique(features, axis=0, return_inverse=True)
    return None if len(found) == len(features) else classes.reshape(-1).astype(np.int64)


def class_shares(distributions: RowDistributions, classes: IntArray, action: IntArray) -> FloatArray:
    """float[n]: the probability in row i of the arms that are like `action[i]`, for action int[n]."""
    shares = np.empty(distributions.rows)
    for part in distributions.blocks():
        distinct, index = distributions.distinct(part)
        alike = classes[None, :] == classes[action[part]][:, None]
        shares[part] = (distinct[index] * alike).sum(axis=1)
    return shares


def marginal_weights(log: LoggedBandit, policy: TargetPolicy, shared: SharedFeatures) -> FloatArray:
    """float[n]: w(x_i, e_i) of the features e_i of the logged arm."""
    require_shape(f"policy {policy.name!r} (rows)", np.empty(policy.rows), (log.rows,))
    require_shape("the shares of like arms", shared.logged, (log.rows,))
    ours, classes = np.empty(log.rows), shared.classes
    for part in row_blocks(log.rows, len(classes)):
        alike = classes[None, :] == classes[log.action[part]][:, None]
        ours[part] = policy.expected(alike[:, :, None], part)[:, 0]
    return ours / shared.logged


def mips(weights: FloatArray, rewards: FloatArray, design: SamplingDesign = BY_ROW) -> Estimate:
    """V = mean(w r) with `marginal_weights`; biased if like arms differ in their rewards: never used by the gate."""
    point = mean_and_error(weights * rewards, design)
    return build_estimate("mips", point, evidence_of(weights, rewards, design), biased_outcome("mips"))


def with_mips(
    report: EvaluationReport,
    log: LoggedBandit,
    policies: Sequence[TargetPolicy],
    baseline: TargetPolicy,
    shared: SharedFeatures | None,
) -> EvaluationReport:
    """The report with the estimate `mips` of every policy; unchanged if no arms are alike (None).

    `policies` are those that the report is about, in its order.
    """
    if shared is None:
        return report
    reports = zip(report.policies, policies, strict=True)
    return replace(
        report,
        baseline=_with_mips(report.baseline, log, marginal_weights(log, baseline, shared)),
        policies=tuple(_with_mips(each, log, marginal_weights(log, policy, shared)) for each, policy in reports),
    )


def _with_mips(report: PolicyReport, log: LoggedBandit, weights: FloatArray) -> PolicyReport:
    everywhere, design = np.ones(log.rows, dtype=np.bool_), SamplingDesign(log.units)

    def added(scope: Mapping[str, PolicyObjective], among: npt.NDArray[np.bool_]) -> dict[str, PolicyObjective]:
        found = {}
        for column, name in enumerate(log.objectives):
            rows = np.flatnonzero(among & log.observed[:, column])
            estimate = mips(weights[rows], log.reward[rows, column], design.take(rows))
            found[name] = replace(scope[name], estimates={**scope[name].estimates, "mips": estimate})
        return found

    return replace(
        report,
        objectives=added(report.objectives, everywhere),
        cohorts={name: added(scope, log.cohort_rows(name)) for name, scope in report.cohorts.items()},
    )
