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
from off_policy.importance_weights import Evidence, evidence_of
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import (
    answered,
    biased_outcome,
    default_threshold,
    mean_and_error,
    mean_influence,
    why_refused,
)
from off_policy.numeric_arrays import FloatArray
from off_policy.sampling_design import BY_ROW, SamplingDesign
from off_policy.weighted_parts import PartRows


@dataclass(frozen=True, eq=False)
class ModelledSample:
    """Rows of one objective: weights w[n], rewards r[n], q of the logged arm [n], qbar [n], and their design."""

    weights: FloatArray
    rewards: FloatArray
    q_logged: FloatArray
    q_policy: FloatArray
    design: SamplingDesign = BY_ROW

    @cached_property
    def residual(self) -> FloatArray:
        return self.rewards - self.q_logged

    @cached_property
    def terms(self) -> FloatArray:
        """float[n]: qbar + w (r - q), whose mean is the DR value."""
        found: FloatArray = self.q_policy + self.weights * self.residual
        return found

    @cached_property
    def influence(self) -> FloatArray:
        """float[n]: the influence terms of the DR value; n >= 2."""
        return mean_influence(self.terms)

    @cached_property
    def evidence(self) -> Evidence:
        """Of the weights, by the share of positives in the rows without one."""
        return evidence_of(self.weights, self.rewards, self.design)


def direct_method(sample: ModelledSample) -> Estimate:
    """DM: V = mean(qbar), as biased as the model; for display, never used by the gate."""
    return _biased("dm", sample, sample.q_policy)


def doubly_robust(sample: ModelledSample, requirements: EvidenceRequirements) -> Estimate:
    """DR: V = mean(qbar + w (r - q)), unbiased with known propensities (Dudik et al. 2011)."""
    evidence = sample.evidence
    point = (math.nan, math.nan)
    if evidence.n:
        error = sample.design.error(sample.influence) if evidence.n > 1 else math.nan
        point = (float(sample.terms.mean()), error)
    refusal = why_refused(point, evidence, requirements)
    if refusal is not None:
        return build_estimate("dr", point, evidence, (None, refusal))
    part = PartRows(
        sample.influence, sample.weights / sample.weights.sum(), sample.rewards, sample.q_logged, bends=False
    )
    return build_estimate("dr", point, evidence, answered(point, part, (evidence, sample.design), requirements))


def self_normalised_dr(sample: ModelledSample, requirements: EvidenceRequirements) -> Estimate:
    """SN-DR: V = mean(qbar) + sum w (r - q) / sum w; SE from the influence
    qbar - mean(qbar) + w (r - q - C) / mean(w), with C the normalised correction."""
    evidence = sample.evidence
    total = float(sample.weights.sum())
    if total <= 0 or evidence.n < 2:
        point = (math.nan, math.nan)
        return build_estimate("sndr", point, evidence, (None, why_refused(point, evidence, requirements)))
    correction = float((sample.weights * sample.residual).sum()) / total
    value = float(sample.q_policy.mean()) + correction
    shares = sample.weights / total
    influence = mean_influence(sample.q_policy + evidence.n * shares * (sample.residual - correction))
    point = (value, sample.design.error(influence))
    refusal = why_refused(point, evidence, requirements)
    if refusal is not None:
        return build_estimate("sndr", point, evidence, (None, refusal))
    part = PartRows(influence, shares, sample.rewards, sample.q_logged + correction, bends=False)
    return build_estimate("sndr", point, evidence, answered(point, part, (evidence, sample.design), requirements))


def switch_dr(sample: ModelledSample, threshold: float | None = None) -> Estimate:
    """SWITCH-DR: corrects only rows with w <= lambda (Wang et al. 2017); lambda defaults to sqrt(n)."""
    limit = default_threshold(len(sample.weights)) if threshold is None else threshold
    kept = np.where(sample.weights <= limit, sample.weights, 0.0)
    return _biased("switch_dr", sample, sample.q_policy + kept * sample.residual)


def dr_optimistic_shrinkage(sample: ModelledSample, shrinkage: float | None = None) -> Estimate:
    """DRos: weights lambda w / (w^2 + lambda) (Su et al. 2020); lambda defaults to n, which barely
    changes weights well below sqrt(n)."""
    w = sample.weights
    lam = default_threshold(len(w)) ** 2 if shrinkage is None else shrinkage
    shrunk = lam * w / (np.square(w) + lam)
    return _biased("dros", sample, sample.q_policy + shrunk * sample.residual)


def _biased(name: str, sample: ModelledSample, terms: FloatArray) -> Estimate:
    evidence = sample.evidence
    return build_estimate(name, mean_and_error(terms, sample.design), evidence, biased_outcome(name))
