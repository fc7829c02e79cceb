"""Lift of a policy over a baseline on the same rows, with the covariance of the two.

Both values come from one log, so their errors are correlated: strongly if the policies mostly agree,
which makes the paired error small, and not at all if they never choose the same arm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from off_policy.doubly_robust import ModelledSample
from off_policy.estimates import (
    Interval,
    Refusal,
    from_json_number,
    interval_as_dict,
    interval_from_dict,
    json_number,
    refusal_as_dict,
    refusal_from_dict,
)
from off_policy.importance_weights import Evidence, evidence_of
from off_policy.intervals import EvidenceRequirements, infinite_error, lacking_evidence, student_interval
from off_policy.numeric_arrays import FloatArray
from off_policy.sampling_design import BY_ROW, SamplingDesign


@dataclass(frozen=True, slots=True)
class PairedLift:
    """V(policy) - V(baseline), absolute and relative to the baseline's value.

    Values and errors are NaN if undefined; relative ones also if the baseline's value is not positive.
    If an interval is None, `refusal` says why.
    """

    estimator: str
    value: float
    standard_error: float
    interval: Interval | None
    relative: float
    relative_standard_error: float
    relative_interval: Interval | None
    refusal: Refusal | None
    baseline_value: float
    matched_rows: int
    baseline_matched_rows: int
    positives: int
    baseline_positives: int

    @property
    def gateable(self) -> bool:
        """Whether the intervals may be used for a decision."""
        return self.relative_interval is not None and self.refusal is None

    def as_dict(self) -> dict[str, Any]:
        return {
            "estimator": self.estimator,
            "value": json_number(self.value),
            "standard_error": json_number(self.standard_error),
            "interval": interval_as_dict(self.interval),
            "relative": json_number(self.relative),
            "relative_standard_error": json_number(self.relative_standard_error),
            "relative_interval": interval_as_dict(self.relative_interval),
            "refusal": refusal_as_dict(self.refusal),
            "gateable": self.gateable,
            "baseline_value": json_number(self.baseline_value),
            "matched_rows": self.matched_rows,
            "baseline_matched_rows": self.baseline_matched_rows,
            "positives": self.positives,
            "baseline_positives": self.baseline_positives,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PairedLift:
        return cls(
            estimator=data["estimator"],
            value=from_json_number(data["value"]),
            standard_error=from_json_number(data["standard_error"]),
            interval=interval_from_dict(data["interval"]),
            relative=from_json_number(data["relative"]),
            relative_standard_error=from_json_number(data["relative_standard_error"]),
            relative_interval=interval_from_dict(data["relative_interval"]),
            refusal=refusal_from_dict(data["refusal"]),
            baseline_value=from_json_number(data["baseline_value"]),
            matched_rows=data["matched_rows"],
            baseline_matched_rows=data["baseline_matched_rows"],
            positives=data["positives"],
            baseline_positives=data["baseline_positives"],
        )


@dataclass(frozen=True, slots=True, eq=False)
class ValueTerms:
    """A value estimate and its influence terms psi[n]: SE = sqrt(sum psi^2)."""

    value: float
    influence: FloatArray


def snips_terms(weights: FloatArray, rewards: FloatArray) -> ValueTerms:
    """The SNIPS value and its influence terms: psi_i = w_i (r_i - V) / sum w."""
    total = float(weights.sum())
    if total <= 0:
        return ValueTerms(math.nan, np.full(len(weights), math.nan))
    value = float((weights * rewards).sum()) / total
    return ValueTerms(value, weights * (rewards - value) / total)


def dr_terms(sample: ModelledSample) -> ValueTerms:
    """The DR value and its influence terms: psi_i = (qbar_i + w_i (r_i - q_i) - V) / sqrt(n (n - 1))."""
    n = len(sample.weights)
    if n < 2:
        return ValueTerms(math.nan, np.full(n, math.nan))
    terms = sample.q_policy + sample.weights * sample.residual
    value = float(terms.mean())
    return ValueTerms(value, (terms - value) / math.sqrt(n * (n - 1)))


def paired_snips_lift(
    weights: FloatArray,
    baseline_weights: FloatArray,
    rewards: FloatArray,
    requirements: EvidenceRequirements,
    design: SamplingDesign = BY_ROW,
) -> PairedLift:
    """SNIPS_A - SNIPS_B by the delta method with the covariance of (w_A r, w_A, w_B r, w_B)."""
    terms = snips_terms(weights, rewards), snips_terms(baseline_weights, rewards)
    return _lift("snips", terms, _Pair(weights, baseline_weights, rewards, design), requirements)


def paired_dr_lift(sample: ModelledSample, baseline: ModelledSample, requirements: EvidenceRequirements) -> PairedLift:
    """DR_A - DR_B: the mean of per-row differences, with q as the control variate of both."""
    terms = dr_terms(sample), dr_terms(baseline)
    pair = _Pair(sample.weights, baseline.weights, sample.rewards, sample.design)
    return _lift("dr", terms, pair, requirements)


def no_lift(lift: PairedLift, level: float) -> PairedLift:
    """The lift of a policy over itself: exactly zero, regardless of the evidence."""
    nought = Interval(0.0, 0.0, level, "identical policies")
    return replace(
        lift,
        value=0.0,
        standard_error=0.0,
        interval=nought,
        relative=0.0,
        relative_standard_error=0.0,
        relative_interval=nought,
        refusal=None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two policies on the same rows."""

    weights: FloatArray
    baseline_weights: FloatArray
    rewards: FloatArray
    design: SamplingDesign

    def evidence(self, weights: FloatArray) -> Evidence:
        return evidence_of(weights, self.rewards, self.design)


def _lift(
    estimator: str, terms: tuple[ValueTerms, ValueTerms], pair: _Pair, requirements: EvidenceRequirements
) -> PairedLift:
    ours, base = terms
    value, relative = ours.value - base.value, math.nan
    error = pair.design.error(ours.influence - base.influence)
    relative_error = math.nan
    if base.value > 0:
        ratio = ours.value / base.value
        relative = ratio - 1.0
        relative_error = pair.design.error((ours.influence - ratio * base.influence) / base.value)
    sides = pair.evidence(pair.weights), pair.evidence(pair.baseline_weights)
    refusal, freedom = _evidence_of_difference(sides, pair, requirements)
    refusal = refusal or infinite_error(error)
    interval = relative_interval = None
    if refusal is None:
        interval = student_interval(value, error, freedom, requirements.level)
        if math.isfinite(relative_error):
            relative_interval = student_interval(relative, relative_error, freedom, requirements.level)
    return PairedLift(
        estimator=estimator,
        value=value,
        standard_error=error,
        interval=interval,
        relative=relative,
        relative_standard_error=relative_error,
        relative_interval=relative_interval,
        refusal=refusal,
        baseline_value=base.value,
        matched_rows=sides[0].matched_rows,
        baseline_matched_rows=sides[1].matched_rows,
        positives=sides[0].positives,
        baseline_positives=sides[1].positives,
    )


def _evidence_of_difference(
    sides: tuple[Evidence, Evidence], pair: _Pair, requirements: EvidenceRequirements
) -> tuple[Refusal | None, float]:
    """(refusal, effective sample size of the difference for Student's t).

    Each policy alone must meet the required evidence. The rows in which the two differ must also have
    enough positives, because only those rows determine the difference.
    """
    for side, name in zip(sides, ("the policy", "the baseline"), strict=True):
        lacking = lacking_evidence(side, requirements)
        if lacking is not None:
            return replace(lacking, reason=f"{name}: {lacking.reason}"), 0.0
    gap = pair.weights - pair.baseline_weights
    only_positives = replace(requirements, min_matched_rows=2)
    freedom = math.inf
    for part, name in ((np.maximum(gap, 0.0), "favours"), (np.maximum(-gap, 0.0), "avoids")):
        evidence = pair.evidence(part)
        lacking = lacking_evidence(evidence, only_positives)
        if lacking is not None:
            return replace(lacking, reason=f"rows that the policy {name}: {lacking.reason}"), 0.0
        freedom = min(freedom, evidence.freedom)
    return None, freedom
