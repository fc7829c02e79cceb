"""Estimators that use only logged propensities and rewards.

Symbols as in the literature: w_i = pi(a_i|x_i) / mu(a_i|x_i), r_i the reward, n rows, V the value.
The arguments are weights float[n] >= 0 and rewards float[n] of the rows in which the objective was
observed; `evidence` is that of the weights, for callers that have it. Rows without a weight may be left out if
`design` counts them as absent and `evidence` includes them: n is the number of all rows.
"""

from __future__ import annotations

import math

import numpy as np

from off_policy.estimates import Estimate, Interval, Refusal, RefusalCode, build_estimate
from off_policy.importance_weights import Evidence, evidence_of
from off_policy.intervals import (
    EvidenceRequirements,
    cautious_interval,
    exact_binomial_interval,
    infinite_error,
    lacking_evidence,
)
from off_policy.numeric_arrays import FloatArray
from off_policy.sampling_design import BY_ROW, SamplingDesign, Variances
from off_policy.weighted_parts import PartRows


def ips(
    weights: FloatArray,
    rewards: FloatArray,
    requirements: EvidenceRequirements,
    design: SamplingDesign = BY_ROW,
    evidence: Evidence | None = None,
) -> Estimate:
    """Inverse propensity score: V = mean(w r), unbiased; SE = sd(w r) / sqrt(n), by units if rows repeat them."""
    evidence = evidence or evidence_of(weights, rewards, design)
    mean, variances = mean_of(weights * rewards, design)
    point = (mean, variances.error)
    refusal = why_refused(point, evidence, requirements)
    if refusal is not None:
        return build_estimate("ips", point, evidence, (None, refusal))
    part = PartRows(variances, weights / weights.sum(), rewards, 0.0, bends=False)
    return build_estimate("ips", point, evidence, answered(point, part, (evidence, design), requirements))


def snips(
    weights: FloatArray,
    rewards: FloatArray,
    requirements: EvidenceRequirements,
    design: SamplingDesign = BY_ROW,
    evidence: Evidence | None = None,
) -> Estimate:
    """Self-normalised IPS: V = sum(w r) / sum(w), SE^2 = sum w^2 (r - V)^2 / (sum w)^2 (delta method), with the terms
    w (r - V) summed by unit first if rows repeat units."""
    evidence = evidence or evidence_of(weights, rewards, design)
    point = self_normalised_mean(weights, rewards, design)
    outcome = _self_normalised_outcome(weights, rewards, point, (evidence, design), requirements)
    return build_estimate("snips", point, evidence, outcome)


def clipped_ips(
    weights: FloatArray,
    rewards: FloatArray,
    threshold: float | None = None,
    design: SamplingDesign = BY_ROW,
    evidence: Evidence | None = None,
) -> Estimate:
    """V = mean(min(w, lambda) r); biased: for display, never used by the gate.

    lambda defaults to sqrt(n), the truncation of Ionides (2008, eq. 9).
    """
    limit = default_threshold(design.sample_size(len(weights))) if threshold is None else threshold
    point = mean_and_error(np.minimum(weights, limit) * rewards, design)
    evidence = evidence or evidence_of(weights, rewards, design)
    return build_estimate("clipped_ips", point, evidence, biased_outcome("clipped_ips"))


def reward_at_hit(
    weights: FloatArray,
    rewards: FloatArray,
    deterministic: bool,
    requirements: EvidenceRequirements,
    design: SamplingDesign = BY_ROW,
    evidence: Evidence | None = None,
) -> Estimate:
    """V_hit = mean reward of the rows where the logged arm is the policy's arm (PRL-PUTS; the replay
    method of Li et al. 2011).

    Defined for deterministic policies, and for any policy whose positive weights are all equal. If
    all hits have the same propensity, it equals SNIPS and the hits are a binomial sample. The interval
    is then Clopper and Pearson's (1934), valid at any size; with too little evidence it must not be used
    for a decision. Hits that repeat a unit are no binomial sample: their interval is that of SNIPS, by units.
    """
    evidence = evidence or evidence_of(weights, rewards, design)
    hits = weights > 0
    even = evidence.matched_rows > 0 and _even(weights[hits])
    if evidence.matched_rows == 0 or not (deterministic or even):
        lacking = lacking_evidence(evidence, requirements) if evidence.matched_rows == 0 else None
        undefined = Refusal(RefusalCode.UNDEFINED, "a stochastic policy has no single arm to hit: use SNIPS")
        point = (math.nan, math.nan)
        return build_estimate("reward_at_hit", point, evidence, (None, lacking or undefined))
    point = self_normalised_mean(hits.astype(np.float64), rewards, design)
    if even and design.repeats(np.flatnonzero(hits)):
        outcome = _self_normalised_outcome(hits.astype(np.float64), rewards, point, (evidence, design), requirements)
    else:
        outcome = _hit_outcome(rewards[hits], even, evidence, requirements)
    return build_estimate("reward_at_hit", point, evidence, outcome)


def _even(weights: FloatArray) -> bool:
    first = float(weights[0])
    return max(float(weights.max()) - first, first - float(weights.min())) <= 1e-9 * first + 1e-8


def _hit_outcome(
    rewards: FloatArray, even: bool, evidence: Evidence, requirements: EvidenceRequirements
) -> tuple[Interval | None, Refusal | None]:
    if not even:
        reason = "the hits' propensities differ, so their plain mean is biased: use SNIPS"
        return None, Refusal(RefusalCode.UNEVEN_PROPENSITIES, reason)
    if not ((rewards == 0.0) | (rewards == 1.0)).all():
        return None, Refusal(RefusalCode.NOT_BINARY, "the reward is not binary: use SNIPS")
    interval = exact_binomial_interval(evidence.positives, evidence.matched_rows, requirements.level)
    return interval, lacking_evidence(evidence, requirements)


def _self_normalised_outcome(
    weights: FloatArray,
    rewards: FloatArray,
    point: tuple[float, float],
    sample: tuple[Evidence, SamplingDesign],
    requirements: EvidenceRequirements,
) -> tuple[Interval | None, Refusal | None]:
    refusal = why_refused(point, sample[0], requirements)
    if refusal is not None:
        return None, refusal
    shares = weights / weights.sum()
    part = PartRows(shares * (rewards - point[0]), shares, rewards, point[0], bends=True)
    return answered(point, part, sample, requirements)


def default_threshold(rows: int) -> float:
    """The weight above which a row counts as extreme: sqrt(n)."""
    return math.sqrt(rows)


def mean_and_error(terms: FloatArray, design: SamplingDesign = BY_ROW) -> tuple[float, float]:
    """(mean, standard error of the mean) of terms[k]; the mean needs one row, the error two, else they are NaN."""
    mean, variances = mean_of(terms, design)
    return mean, variances.error


def mean_influence(terms: FloatArray) -> FloatArray:
    """float[n]: (terms - mean) / sqrt(n (n - 1)), whose squares add up to the variance of the mean; n >= 2."""
    n = len(terms)
    influence: FloatArray = (terms - terms.mean()) / math.sqrt(n * (n - 1))
    return influence


def mean_of(terms: FloatArray, design: SamplingDesign = BY_ROW) -> tuple[float, Variances]:
    """(mean, variances of the mean) of n terms: terms[k], and zeros for the design's absent rows."""
    n = design.sample_size(len(terms))
    mean = float(terms.sum()) / n if n else math.nan
    if n < 2:
        return mean, Variances(math.nan, math.nan)
    scale = 1.0 / math.sqrt(n * (n - 1))
    return mean, design.variances((terms - mean) * scale, -mean * scale)


def self_normalised_mean(
    weights: FloatArray, values: FloatArray, design: SamplingDesign = BY_ROW
) -> tuple[float, float]:
    """(sum w v / sum w, delta-method standard error); NaN if all weights are 0."""
    total = float(weights.sum())
    if total <= 0:
        return math.nan, math.nan
    value = float((weights * values).sum()) / total
    return value, design.error(weights * (values - value) / total)


def why_refused(point: tuple[float, float], evidence: Evidence, requirements: EvidenceRequirements) -> Refusal | None:
    """Why an unbiased estimate has no interval: the evidence is too thin, or the standard error is not finite."""
    return lacking_evidence(evidence, requirements) or infinite_error(point[1])


def answered(
    point: tuple[float, float],
    part: PartRows,
    sample: tuple[Evidence, SamplingDesign],
    requirements: EvidenceRequirements,
) -> tuple[Interval | None, Refusal | None]:
    """The interval of an unbiased estimate whose evidence suffices."""
    evidence, design = sample
    score = part.score(design, evidence.reward_size)
    return cautious_interval(point[0], score, evidence.freedom, requirements.level), None


def biased_outcome(estimator: str) -> tuple[None, Refusal]:
    """No interval, because a standard error does not include the bias."""
    return None, Refusal(RefusalCode.BIASED_ESTIMATOR, f"{estimator} is biased: for display only")
