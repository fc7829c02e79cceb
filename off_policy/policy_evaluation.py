"""Evaluates policies x objectives x cohorts on one explored log.

Weights and model expectations are computed once per policy, on whole arrays; cohorts and objectives
only select rows from them. `evaluate_policies` takes a model's values of every arm, `evaluate_predicted`
only the values per row that follow from them, so that with many arms nobody has to hold all values at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from off_policy.doubly_robust import (
    ModelledSample,
    direct_method,
    doubly_robust,
    dr_optimistic_shrinkage,
    self_normalised_dr,
    switch_dr,
)
from off_policy.estimates import Estimate
from off_policy.evaluation_report import EvaluationReport, PolicyObjective, PolicyReport
from off_policy.importance_weights import evidence_of, importance_weights
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import clipped_ips, ips, reward_at_hit, snips
from off_policy.logged_bandit import EvaluationError, LoggedBandit, require_shape
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray
from off_policy.paired_lift import no_lift, paired_dr_lift, paired_snips_lift
from off_policy.row_distributions import row_blocks
from off_policy.sampling_design import SamplingDesign
from off_policy.target_policies import TargetPolicy


@dataclass(frozen=True, slots=True, eq=False)
class PredictedPolicy:
    """A policy and what a model q of the rewards predicts for it.

    `expected` float[n, O] holds sum_a pi(a | x_i) q(x_i, a) of each row (`TargetPolicy.expected` computes it for some
    rows at a time); None without a model.
    """

    policy: TargetPolicy
    expected: FloatArray | None = None


def evaluate_policies(
    log: LoggedBandit,
    policies: Sequence[TargetPolicy],
    baseline: TargetPolicy,
    q: FloatArray | None,
    requirements: EvidenceRequirements,
) -> EvaluationReport:
    """Evaluates every policy on every objective, over all rows and inside each cohort, with its paired lift over
    `baseline` (production, or the logged policy).

    `q` float[n, arms, O] are predictions of a model fitted on *other* rows; if it is None, there are no estimates that
    use a model (DM and the DR family). Raises EvaluationError if shapes or arms do not match the log.
    """
    if q is not None:
        _check_predictions(log, q)

    def predicted(policy: TargetPolicy) -> PredictedPolicy:
        return PredictedPolicy(policy, None if q is None else policy.expected(q))

    q_logged = None if q is None else q[np.arange(log.rows), log.action].astype(np.float64)
    return evaluate_predicted(log, map(predicted, policies), predicted(baseline), q_logged, requirements)


def evaluate_predicted(
    log: LoggedBandit,
    policies: Iterable[PredictedPolicy],
    baseline: PredictedPolicy,
    q_logged: FloatArray | None,
    requirements: EvidenceRequirements,
) -> EvaluationReport:
    """`evaluate_policies` from values per row: `q_logged` float[n, O] are the predictions for the logged arms, and each
    policy brings its own.

    Raises EvaluationError also if only some of the predictions are given, or if one is not finite.
    """
    prepared_baseline = _prepare(log, baseline, q_logged)
    slices = _slices(log, prepared_baseline, q_logged)
    return EvaluationReport(
        objectives=log.objectives,
        rows=log.rows,
        requirements=requirements,
        baseline=_report(prepared_baseline, baseline.policy, slices, requirements),
        policies=tuple(
            _report(_prepare(log, each, q_logged), baseline.policy, slices, requirements) for each in policies
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _PreparedPolicy:
    """A policy on the whole log: weights float[n] and, if there is a model, expected rewards float[O, n]."""

    policy: TargetPolicy
    weights: FloatArray
    q_policy: FloatArray | None


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    """The rows of one objective in one cohort (None: all rows), with everything that is the same for all policies."""

    cohort: str | None
    name: str
    objective: int
    rows: IntArray
    rewards: FloatArray
    q_logged: FloatArray | None
    baseline_weights: FloatArray
    baseline_sample: ModelledSample | None
    design: SamplingDesign


def _slices(log: LoggedBandit, baseline: _PreparedPolicy, q_logged: FloatArray | None) -> list[_Slice]:
    scopes: dict[str | None, BoolArray] = {None: np.ones(log.rows, dtype=np.bool_)}
    for name in log.cohort_names:
        scopes[name] = log.cohort_rows(name)
    return [
        _slice(log, baseline, q_logged, (cohort, np.flatnonzero(scope & log.observed[:, index])), index)
        for cohort, scope in scopes.items()
        for index in range(len(log.objectives))
    ]


def _slice(
    log: LoggedBandit,
    baseline: _PreparedPolicy,
    q_logged: FloatArray | None,
    scope: tuple[str | None, IntArray],
    objective: int,
) -> _Slice:
    cohort, rows = scope
    part = _Slice(
        cohort=cohort,
        name=log.objectives[objective],
        objective=objective,
        rows=rows,
        rewards=log.reward[:, objective][rows],
        q_logged=None if q_logged is None else q_logged[:, objective][rows],
        baseline_weights=baseline.weights[rows],
        baseline_sample=None,
        design=SamplingDesign(log.units).take(rows),
    )
    return replace(part, baseline_sample=_modelled(baseline, part))


def _prepare(log: LoggedBandit, given: PredictedPolicy, q_logged: FloatArray | None) -> _PreparedPolicy:
    policy, expected = given.policy, given.expected
    weights = importance_weights(log, policy)
    if (expected is None) != (q_logged is None):
        raise EvaluationError(
            f"policy {policy.name!r}: predictions are given for the policy or for the logged arms, but not for both",
            fix="give q of the logged arms and the expected q of every policy, or none of them",
        )
    if expected is None or q_logged is None:
        return _PreparedPolicy(policy, weights, None)
    for name, values in (("q of the logged arms", q_logged), (f"policy {policy.name!r}: expected q", expected)):
        require_shape(name, values, (log.rows, len(log.objectives)))
        _require_finite(name, values)
    return _PreparedPolicy(policy, weights, np.ascontiguousarray(expected.T))


def _report(
    prepared: _PreparedPolicy,
    baseline: TargetPolicy,
    slices: Sequence[_Slice],
    requirements: EvidenceRequirements,
) -> PolicyReport:
    policy = prepared.policy
    level = requirements.level if policy.same_as(baseline) else None
    scopes: dict[str | None, dict[str, PolicyObjective]] = {}
    for part in slices:
        result = _evaluate(prepared, part, requirements)
        scopes.setdefault(part.cohort, {})[part.name] = result if level is None else _without_lift(result, level)
    return PolicyReport(
        name=policy.name,
        alpha=policy.alpha,
        agreement=policy.agreement(baseline),
        most_common_share=policy.most_common_share(),
        objectives=scopes[None],
        cohorts={cohort: results for cohort, results in scopes.items() if cohort is not None},
    )


def _evaluate(prepared: _PreparedPolicy, part: _Slice, requirements: EvidenceRequirements) -> PolicyObjective:
    weights, rewards = prepared.weights[part.rows], part.rewards
    sample = _modelled(prepared, part)
    evidence = evidence_of(weights, rewards, part.design) if sample is None else sample.evidence
    estimates = [
        ips(weights, rewards, requirements, part.design, evidence),
        snips(weights, rewards, requirements, part.design, evidence),
        clipped_ips(weights, rewards, design=part.design, evidence=evidence),
        reward_at_hit(weights, rewards, prepared.policy.deterministic, requirements, part.design, evidence),
    ]
    dr_lift = None
    if sample is not None and part.baseline_sample is not None:
        estimates += _model_estimates(sample, requirements)
        dr_lift = paired_dr_lift(sample, part.baseline_sample, requirements)
    return PolicyObjective(
        estimates={estimate.estimator: estimate for estimate in estimates},
        lift=paired_snips_lift(weights, part.baseline_weights, rewards, requirements, part.design),
        dr_lift=dr_lift,
    )


def _without_lift(result: PolicyObjective, level: float) -> PolicyObjective:
    dr_lift = None if result.dr_lift is None else no_lift(result.dr_lift, level)
    return replace(result, lift=no_lift(result.lift, level), dr_lift=dr_lift)


def _modelled(prepared: _PreparedPolicy, part: _Slice) -> ModelledSample | None:
    if part.q_logged is None or prepared.q_policy is None:
        return None
    return ModelledSample(
        weights=prepared.weights[part.rows],
        rewards=part.rewards,
        q_logged=part.q_logged,
        q_policy=prepared.q_policy[part.objective][part.rows],
        design=part.design,
    )


def _model_estimates(sample: ModelledSample, requirements: EvidenceRequirements) -> list[Estimate]:
    return [
        direct_method(sample),
        doubly_robust(sample, requirements),
        self_normalised_dr(sample, requirements),
        switch_dr(sample),
        dr_optimistic_shrinkage(sample),
    ]


def _check_predictions(log: LoggedBandit, q: FloatArray) -> None:
    if q.ndim != 3:
        raise EvaluationError(f"q has {q.ndim} axes", fix="give q as float[rows, arms, objectives]")
    require_shape("q", q, (log.rows, q.shape[1], len(log.objectives)))
    if log.rows and int(log.action.max()) >= q.shape[1]:
        raise EvaluationError(
            f"the log contains arm {int(log.action.max())}, but q has only {q.shape[1]} arms",
            fix="score every arm of the log's action space",
        )
    for part in row_blocks(log.rows, q.shape[1] * q.shape[2]):
        _require_finite("q", q[part])


def _require_finite(name: str, values: FloatArray) -> None:
    if not np.isfinite(values).all():
        raise EvaluationError(f"{name} contains values that are not finite", fix="retrain or drop the model")
