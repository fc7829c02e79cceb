"""Evaluates policies x objectives x cohorts on one explored log.

A policy is reduced to its rows with a weight and to sums over the others (`policy_sums`), once for all slices, and each
slice's own sums are computed once for all policies. `evaluate_policies` takes a model's values of every arm,
`evaluate_predicted` only the values per row that follow from them, and `BlockwiseEvaluation` takes these a block of
rows at a time, so that nobody has to hold them for the whole log.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from off_policy.block_moments import log_blocks
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
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import clipped_ips, ips, reward_at_hit, snips
from off_policy.log_slices import LogSlices
from off_policy.logged_bandit import EvaluationError, LoggedBandit, require_shape
from off_policy.numeric_arrays import FloatArray
from off_policy.paired_lift import no_lift, snips_lift
from off_policy.policy_sums import PolicySums, require_predictions
from off_policy.row_distributions import row_blocks
from off_policy.slice_samples import PairedSample, PolicySample
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
    evaluation = BlockwiseEvaluation(log)
    evaluation.add(policies, baseline, q_logged, log.rows)
    return evaluation.concluded(requirements)


class BlockwiseEvaluation:
    """An evaluation of policies whose predictions come a block of rows at a time.

    1. `BlockwiseEvaluation(log)`
    2. `add(...)` for each block, in the order of the log's rows, with the same policies in the same order
    3. `concluded(requirements)`, once every row of the log was added
    """

    def __init__(self, log: LoggedBandit) -> None:
        self._slices, self._rows = LogSlices(log), 0
        self._baseline: PolicySums | None = None
        self._policies: list[PolicySums] = []

    def add(
        self, policies: Iterable[PredictedPolicy], baseline: PredictedPolicy, q_logged: FloatArray | None, rows: int
    ) -> None:
        """Adds the log's next `rows` rows: policies and baseline for these rows alone, and `q_logged` float[rows, O].

        Raises EvaluationError if shapes or arms do not match the log, if only some of the predictions are given, or if
        one is not finite.
        """
        if q_logged is not None:
            require_predictions("q of the logged arms", q_logged, (rows, len(self._slices.log.objectives)))
        blocks = log_blocks(self._slices, slice(self._rows, self._rows + rows))
        first = self._baseline is None
        if self._baseline is None:
            self._baseline = self._sums(baseline, is_baseline=True)
        self._baseline.add(blocks, baseline.policy, baseline.policy, baseline.expected, q_logged)
        count = 0
        for count, given in enumerate(policies, start=1):
            if first:
                self._policies.append(self._sums(given))
            if count <= len(self._policies):
                self._policies[count - 1].add(blocks, given.policy, baseline.policy, given.expected, q_logged)
        if count != len(self._policies):
            raise EvaluationError(
                f"{count} policies for a block of a log whose first block has {len(self._policies)}",
                fix="give the same policies in the same order for each block",
            )
        self._rows += rows

    def concluded(self, requirements: EvidenceRequirements) -> EvaluationReport:
        """The estimates and lifts of every policy; raises EvaluationError unless all rows of the log were added."""
        log, baseline = self._slices.log, self._baseline
        if baseline is None or self._rows != log.rows:
            raise EvaluationError(
                f"{self._rows} rows of {log.rows} were added to the evaluation", fix="add every block of the log"
            )
        everyone = [baseline, *self._policies]
        found: list[dict[str | None, dict[str, PolicyObjective]]] = [{} for _ in everyone]
        for part in self._slices.slices():
            base = PolicySample(part, baseline)
            asked = requirements if part.cohort is None else requirements.inside_cohorts
            for policy, scopes in zip(everyone, found, strict=True):
                result = _evaluate(base if policy is baseline else PolicySample(part, policy), base, asked)
                scopes.setdefault(part.cohort, {})[part.name] = result
        first, *others = (_report(policy, scopes) for policy, scopes in zip(everyone, found, strict=True))
        return EvaluationReport(
            objectives=log.objectives,
            rows=log.rows,
            requirements=requirements,
            baseline=first,
            policies=tuple(others),
        )

    def _sums(self, given: PredictedPolicy, *, is_baseline: bool = False) -> PolicySums:
        modelled = given.expected is not None
        return PolicySums(self._slices, given.policy, modelled=modelled, baseline=is_baseline)


def _report(policy: PolicySums, scopes: dict[str | None, dict[str, PolicyObjective]]) -> PolicyReport:
    return PolicyReport(
        name=policy.name,
        alpha=policy.alpha,
        agreement=policy.agreement,
        most_common_share=policy.most_common_share,
        objectives=scopes[None],
        cohorts={cohort: results for cohort, results in scopes.items() if cohort is not None},
    )


def _evaluate(policy: PolicySample, base: PolicySample, requirements: EvidenceRequirements) -> PolicyObjective:
    weights, rewards, design, evidence = policy.own_weights, policy.rewards, policy.design, policy.own_evidence
    estimates = [
        ips(weights, rewards, requirements, design, evidence),
        snips(weights, rewards, requirements, design, evidence),
        clipped_ips(weights, rewards, design=design, evidence=evidence),
        reward_at_hit(weights, rewards, policy.of.deterministic, requirements, design, evidence),
    ]
    if policy.modelled is not None:
        estimates += _model_estimates(policy.modelled, requirements)
    paired = PairedSample(policy, base)
    of_log, of_model = snips_lift(paired.rows, requirements), paired.dr_lift(requirements)
    if policy.of.same_as_baseline:
        of_log = no_lift(of_log, requirements.level)
        of_model = None if of_model is None else no_lift(of_model, requirements.level)
    return PolicyObjective({estimate.estimator: estimate for estimate in estimates}, of_log, of_model)


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
        if not np.isfinite(q[part]).all():
            raise EvaluationError("q contains values that are not finite", fix="retrain or drop the model")
