"""Lift of a policy over a baseline on the same rows, with the covariance of the two.

Both values come from one log, so their errors are correlated: strongly if the policies mostly agree,
which makes the paired error small, and not at all if they never choose the same arm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

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
from off_policy.importance_weights import Elsewhere, Evidence, evidence_of
from off_policy.intervals import EvidenceRequirements, infinite_error, lacking_evidence, unit_quantile
from off_policy.inverse_propensity import mean_influence
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.sampling_design import BY_ROW, SamplingDesign
from off_policy.score_bounds import PairParts, lift_bounds, relative_bounds
from off_policy.weighted_parts import PartRows, reward_size

MOVER = "mover"
"""The method of lifts' intervals: `score_bounds.lift_bounds` and `relative_bounds`."""


@dataclass(frozen=True, slots=True)
class PairedLift:
    """V(policy) - V(baseline), absolute and relative to the baseline's value.

    Values and errors are NaN if undefined; relative ones also if the baseline's value is not positive.
    If an interval is None, `refusal` says why; if it is the relative one alone, the baseline's value may be zero.
    `expected_positives` are those of the policy or of the baseline, whichever has fewer, by the rate of the rows in
    which neither chose the logged arm (`Evidence.expected_positives`); NaN in reports of 0.1.0.
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
    expected_positives: float = math.nan

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
            "expected_positives": json_number(self.expected_positives),
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
            expected_positives=from_json_number(data.get("expected_positives")),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ValueTerms:
    """A value estimate, its influence terms psi[n] with SE = sqrt(sum psi^2), and the weights[n] that enter it.

    `centre` float[n] is what is subtracted from the rewards; None if it is the value itself. A reward in row i moves
    the value by scale * weights[i].
    """

    value: float
    influence: FloatArray
    weights: FloatArray
    scale: float
    centre: FloatArray | None = None


def snips_terms(weights: FloatArray, rewards: FloatArray) -> ValueTerms:
    """The SNIPS value and its influence terms: psi_i = w_i (r_i - V) / sum w."""
    total = float(weights.sum())
    if total <= 0:
        return ValueTerms(math.nan, np.full(len(weights), math.nan), weights, math.nan)
    value = float((weights * rewards).sum()) / total
    return ValueTerms(value, weights * (rewards - value) / total, weights, 1.0 / total)


def dr_terms(sample: ModelledSample) -> ValueTerms:
    """The DR value and its influence terms: psi_i = (qbar_i + w_i (r_i - q_i) - V) / sqrt(n (n - 1))."""
    n = len(sample.weights)
    if n < 2:
        return ValueTerms(math.nan, np.full(n, math.nan), sample.weights, math.nan, sample.q_logged)
    return ValueTerms(float(sample.terms.mean()), sample.influence, sample.weights, 1.0 / n, sample.q_logged)


def paired_snips_lift(
    weights: FloatArray,
    baseline_weights: FloatArray,
    rewards: FloatArray,
    requirements: EvidenceRequirements,
    design: SamplingDesign = BY_ROW,
) -> PairedLift:
    """SNIPS_A - SNIPS_B by the delta method with the covariance of (w_A r, w_A, w_B r, w_B).

    Rows in which neither policy chose the logged arm enter neither value, and are left out first.
    """
    log = _Log.of(weights, baseline_weights, rewards, design)
    kept = log.rewards[log.matched]
    terms = snips_terms(weights[log.matched], kept), snips_terms(baseline_weights[log.matched], kept)
    return _lift("snips", _Pair(*terms, kept, log.matched_design, log), requirements)


def paired_dr_lift(sample: ModelledSample, baseline: ModelledSample, requirements: EvidenceRequirements) -> PairedLift:
    """DR_A - DR_B: the mean of per-row differences, with q as the control variate of both."""
    log = _Log.of(sample.weights, baseline.weights, sample.rewards, sample.design)
    return _lift("dr", _Pair(dr_terms(sample), dr_terms(baseline), sample.rewards, sample.design, log), requirements)


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
class _Log:
    """The rewards of all rows, the positions of those in which either policy chose the logged arm, and the others."""

    rewards: FloatArray
    matched: IntArray
    matched_design: SamplingDesign
    elsewhere: Elsewhere

    @classmethod
    def of(cls, ours: FloatArray, base: FloatArray, rewards: FloatArray, design: SamplingDesign) -> Self:
        matched = np.flatnonzero((ours > 0) | (base > 0))
        return cls(rewards, matched, design.take(matched), Elsewhere.besides(rewards, matched))

    def evidence(self, weights: FloatArray) -> Evidence:
        """Of weights of the matched rows, by the share of positives in the others."""
        return evidence_of(weights, self.rewards[self.matched], self.matched_design, self.elsewhere)


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two values on the same rows, the policy's and the baseline's: all rows of `log`, or its matched ones."""

    ours: ValueTerms
    base: ValueTerms
    rewards: FloatArray
    design: SamplingDesign
    log: _Log

    def evidence(self, weights: FloatArray) -> Evidence:
        """Of weights of the pair's rows."""
        return self.log.evidence(weights if len(weights) == len(self.log.matched) else weights[self.log.matched])

    def covariance(self) -> tuple[float, float, float]:
        """(Var ours, Cov, Var base), by unit."""
        ours, base = self.ours.influence, self.base.influence
        covariance = self.design.covariance
        return covariance(ours, ours), covariance(ours, base), covariance(base, base)

    def parts(self) -> PairParts:
        """The disjoint parts of the two values: where the policy weighs more, where less, and what is common."""
        ours, base = self.ours.weights * self.ours.scale, self.base.weights * self.base.scale
        common = np.minimum(ours, base)
        size = reward_size(self.log.rewards)
        totals = float(ours.sum()), float(base.sum())
        more, less, shared = (
            self._part(weights, total).score(self.design, size)
            for weights, total in ((ours - common, totals[0]), (base - common, totals[1]), (common, totals[1]))
        )
        ours_variance, both, base_variance = map(np.asarray, self.covariance())
        values = np.asarray(self.ours.value), np.asarray(self.base.value)
        return PairParts(values, (ours_variance, both, base_variance), more, less, shared)

    def _part(self, weights: FloatArray, total: float) -> PartRows:
        shares = weights / total
        if self.base.centre is not None:
            terms = weights * len(weights) * (self.rewards - self.base.centre)
            return PartRows(mean_influence(terms), shares, self.rewards, self.base.centre, bends=False)
        own = float(shares.sum())
        mean = float((shares * self.rewards).sum()) / own if own > 0.0 else 0.0
        return PartRows(shares * (self.rewards - mean), shares, self.rewards, mean, bends=True)


def _lift(estimator: str, pair: _Pair, requirements: EvidenceRequirements) -> PairedLift:
    ours, base = pair.ours, pair.base
    value, relative = ours.value - base.value, math.nan
    error = pair.design.error(ours.influence - base.influence)
    relative_error = math.nan
    if base.value > 0:
        ratio = ours.value / base.value
        relative = ratio - 1.0
        relative_error = pair.design.error((ours.influence - ratio * base.influence) / base.value)
    sides = pair.evidence(ours.weights), pair.evidence(base.weights)
    refusal, freedom = _evidence_of_difference(sides, pair, requirements)
    refusal = refusal or infinite_error(error)
    interval = relative_interval = None
    if refusal is None:
        quantile, parts = np.asarray(unit_quantile(freedom, requirements.level)), pair.parts()
        interval = _interval(lift_bounds(parts, quantile), requirements.level)
        if math.isfinite(relative_error):
            relative_interval = _interval(relative_bounds(parts, quantile), requirements.level)
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
        expected_positives=min(side.expected_positives for side in sides),
    )


def _interval(bounds: tuple[FloatArray, FloatArray], level: float) -> Interval | None:
    """None if a bound is not finite: the baseline's value may then be zero."""
    lower, upper = float(bounds[0]), float(bounds[1])
    return Interval(lower, upper, level, MOVER) if math.isfinite(lower + upper) else None


def _evidence_of_difference(
    sides: tuple[Evidence, Evidence], pair: _Pair, requirements: EvidenceRequirements
) -> tuple[Refusal | None, float]:
    """(refusal, one more than the degrees of freedom of the difference).

    Each policy alone must have the required evidence, and so must the rows in which the two differ, because only those
    determine the difference.
    """
    for side, name in zip(sides, ("the policy", "the baseline"), strict=True):
        lacking = lacking_evidence(side, requirements)
        if lacking is not None:
            return replace(lacking, reason=f"{name}: {lacking.reason}"), 0.0
    gap = pair.ours.weights * pair.ours.scale - pair.base.weights * pair.base.scale
    freedom = math.inf
    for part, name in ((np.maximum(gap, 0.0), "favours"), (np.maximum(-gap, 0.0), "avoids")):
        evidence = pair.evidence(part)
        lacking = lacking_evidence(evidence, requirements)
        if lacking is not None:
            return replace(lacking, reason=f"rows that the policy {name}: {lacking.reason}"), 0.0
        freedom = min(freedom, evidence.freedom)
    return None, freedom
