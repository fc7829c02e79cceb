"""Estimators that use a reward model q as well.

Symbols: q_i = q(x_i, a_i) of the logged arm, qbar_i = sum_a pi(a|x_i) q(x_i, a), w_i and r_i as in
`inverse_propensity`. Intervals of DR and SN-DR are valid only if q was fitted on other rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from off_policy.estimates import Estimate, build_estimate
from off_policy.expected_rewards import ExpectedRewards
from off_policy.importance_weights import Evidence, evidence_of
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import (
    answered,
    biased_outcome,
    default_threshold,
    why_refused,
)
from off_policy.numeric_arrays import FloatArray
from off_policy.sampling_design import BY_ROW, SamplingDesign
from off_policy.weighted_parts import PartRows


@dataclass(frozen=True, eq=False)
class ModelledSample:
    """Rows of one objective that are at hand, k of n: weights w[k], rewards r[k], q of the logged arm [k], qbar [k],
    and their design. The others have no weight.

    The moments of all rows' qbar and the evidence are `known` if some rows are not at hand.
    """

    weights: FloatArray
    rewards: FloatArray
    q_logged: FloatArray
    q_policy: FloatArray
    design: SamplingDesign = BY_ROW
    known: tuple[ExpectedRewards, Evidence] | None = None

    @cached_property
    def expected(self) -> ExpectedRewards:
        """qbar of all rows, by its moments."""
        return ExpectedRewards.of(self.q_policy, self.design) if self.known is None else self.known[0]

    @cached_property
    def residual(self) -> FloatArray:
        return self.rewards - self.q_logged

    @cached_property
    def correction(self) -> FloatArray:
        """float[k]: w (r - q), what DR adds to qbar; 0 in the other rows."""
        found: FloatArray = self.weights * self.residual
        return found

    @cached_property
    def value(self) -> float:
        """The DR value, mean(qbar + w (r - q)); NaN without rows."""
        return self.with_corrections(self.correction)

    @cached_property
    def evidence(self) -> Evidence:
        """Of the weights, by the share of positives in the rows without one."""
        return evidence_of(self.weights, self.rewards, self.design) if self.known is None else self.known[1]

    def with_corrections(self, corrections: FloatArray) -> float:
        """The mean of qbar + correction, corrections float[k]; NaN without rows."""
        n = self.expected.n
        return self.expected.mean + float(corrections.sum()) / n if n else math.nan


def direct_method(sample: ModelledSample) -> Estimate:
    """DM: V = mean(qbar), as biased as the model; for display, never used by the gate."""
    return _biased("dm", sample, np.zeros(len(sample.weights)))


def doubly_robust(sample: ModelledSample, requirements: EvidenceRequirements) -> Estimate:
    """DR: V = mean(qbar + w (r - q)), unbiased with known propensities (Dudik et al. 2011)."""
    evidence = sample.evidence
    variances = sample.expected.variances(sample.correction, sample.design)
    point = (sample.value, variances.error)
    refusal = why_refused(point, evidence, requirements)
    if refusal is not None:
        return build_estimate("dr", point, evidence, (None, refusal))
    part = PartRows(variances, sample.weights / sample.weights.sum(), sample.rewards, sample.q_logged, bends=False)
    return build_estimate("dr", point, evidence, answered(point, part, (evidence, sample.design), requirements))


def self_normalised_dr(sample: ModelledSample, requirements: EvidenceRequirements) -> Estimate:
    """SN-DR: V = mean(qbar) + sum w (r - q) / sum w; SE from the influence
    qbar - mean(qbar) + w (r - q - C) / mean(w), with C the normalised correction."""
    evidence = sample.evidence
    total = float(sample.weights.sum())
    if total <= 0 or evidence.n < 2:
        point = (math.nan, math.nan)
        return build_estimate("sndr", point, evidence, (None, why_refused(point, evidence, requirements)))
    normalised = float(sample.correction.sum()) / total
    shares = sample.weights / total
    variances = sample.expected.variances(evidence.n * shares * (sample.residual - normalised), sample.design)
    point = (sample.expected.mean + normalised, variances.error)
    refusal = why_refused(point, evidence, requirements)
    if refusal is not None:
        return build_estimate("sndr", point, evidence, (None, refusal))
    part = PartRows(variances, shares, sample.rewards, sample.q_logged + normalised, bends=False)
    return build_estimate("sndr", point, evidence, answered(point, part, (evidence, sample.design), requirements))


def switch_dr(sample: ModelledSample, threshold: float | None = None) -> Estimate:
    """SWITCH-DR: corrects only rows with w <= lambda (Wang et al. 2017); lambda defaults to sqrt(n)."""
    limit = default_threshold(sample.expected.n) if threshold is None else threshold
    return _biased("switch_dr", sample, np.where(sample.weights <= limit, sample.correction, 0.0))


def dr_optimistic_shrinkage(sample: ModelledSample, shrinkage: float | None = None) -> Estimate:
    """DRos: weights lambda w / (w^2 + lambda) (Su et al. 2020); lambda defaults to n, which barely
    changes weights well below sqrt(n)."""
    w = sample.weights
    lam = float(sample.expected.n) if shrinkage is None else shrinkage
    return _biased("dros", sample, lam * sample.correction / (np.square(w) + lam))


def _biased(name: str, sample: ModelledSample, corrections: FloatArray) -> Estimate:
    point = sample.with_corrections(corrections), sample.expected.variances(corrections, sample.design).error
    return build_estimate(name, point, sample.evidence, biased_outcome(name))
