"""Lift of a policy over a baseline on the same rows, with the covariance of the two.

Both values come from one log, so their errors are correlated: strongly if the policies mostly agree,
which makes the paired error small, and not at all if they never choose the same arm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from off_policy.inverse_propensity import mean_influence, mean_of
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.sampling_design import BY_ROW, SamplingDesign
from off_policy.score_bounds import PairParts, ScorePart, lift_bounds, relative_bounds
from off_policy.weighted_parts import PartRows

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


@dataclass(frozen=True, slots=True)
class PairVariances:
    """Variances of two values A and B on one log, by unit: those of A and B, their covariance, and the same for the
    difference A - B, which would lose its digits if it were computed from the others; NaN if undefined."""

    ours: float
    both: float
    base: float
    gap: float
    gap_and_base: float

    @classmethod
    def of(cls, ours: FloatArray, base: FloatArray, design: SamplingDesign) -> Self:
        """From the influence terms float[k] of the two: those of rows not at hand are 0."""
        gap, covariance = ours - base, design.covariance
        return cls.of_gap(covariance(gap, gap), covariance(gap, base), covariance(base, base))

    @classmethod
    def of_gap(cls, gap: float, gap_and_base: float, base: float) -> Self:
        """From Var(A - B), Cov(A - B, B) and Var(B)."""
        ours = max(gap + 2.0 * gap_and_base + base, 0.0)
        return cls(ours, gap_and_base + base, base, gap, gap_and_base)

    def of_ratio(self, ratio: float) -> float:
        """Var(A - ratio B)."""
        excess = ratio - 1.0
        return max(self.gap - 2.0 * excess * self.gap_and_base + excess * excess * self.base, 0.0)


@dataclass(frozen=True, eq=False)
class PairedRows:
    """The k rows of a log in which the policy or the baseline has a weight.

    ours, base  float[k]: both weights
    rewards     float[k]
    design      of the whole log, with the other rows absent
    sides       the evidence of the policy and of the baseline, by the share of positives `elsewhere`
    elsewhere   the other rows
    whole       all rows of the log
    """

    ours: FloatArray
    base: FloatArray
    rewards: FloatArray
    design: SamplingDesign
    sides: tuple[Evidence, Evidence]
    elsewhere: Elsewhere
    whole: Elsewhere

    @classmethod
    def of(cls, ours: FloatArray, base: FloatArray, rewards: FloatArray, design: SamplingDesign) -> Self:
        """From all n rows of a log."""
        matched = np.flatnonzero((ours > 0) | (base > 0))
        r, kept, whole = rewards[matched], design.narrowed(matched, len(rewards)), Elsewhere.of(rewards)
        other, weights = whole.without(r), (ours[matched], base[matched])
        first, second = (evidence_of(each, r, kept, other, whole) for each in weights)
        return cls(*weights, r, kept, (first, second), other, whole)

    def evidence_for(self, weights: FloatArray, rows: IntArray) -> Evidence:
        """Of weights float[m] of some of the rows, int[m], by the share of positives elsewhere."""
        return evidence_of(weights, self.rewards[rows], self.design.take(rows), self.elsewhere, self.whole)


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
    return snips_lift(PairedRows.of(weights, baseline_weights, rewards, design), requirements)


def snips_lift(rows: PairedRows, requirements: EvidenceRequirements) -> PairedLift:
    """`paired_snips_lift` of the rows with a weight. Influence terms: psi_i = w_i (r_i - V) / sum w."""
    values, scales, influence = [], [], []
    for weights in (rows.ours, rows.base):
        total = float(weights.sum()) or math.nan
        value = float((weights * rows.rewards).sum()) / total
        values.append(value)
        scales.append(1.0 / total)
        influence.append(weights * (rows.rewards - value) / total)
    variances = PairVariances.of(influence[0], influence[1], rows.design)
    return _lift("snips", _Pair(rows, (values[0], values[1]), (scales[0], scales[1]), variances), requirements)


def paired_dr_lift(sample: ModelledSample, baseline: ModelledSample, requirements: EvidenceRequirements) -> PairedLift:
    """DR_A - DR_B: the mean of per-row differences, with q as the control variate of both.

    All rows of both samples are at hand. Influence terms: psi_i = (qbar_i + w_i (r_i - q_i) - V) / sqrt(n (n - 1)).
    """
    n, design = len(sample.weights), sample.design
    variances = PairVariances(*[math.nan] * 5)
    if n > 1:
        ours, base = (mean_influence(each.q_policy + each.correction) for each in (sample, baseline))
        variances = PairVariances.of(ours, base, design)
    rows = PairedRows.of(sample.weights, baseline.weights, sample.rewards, design)
    matched = np.flatnonzero((sample.weights > 0) | (baseline.weights > 0))
    return dr_lift(rows, (sample.value, baseline.value), sample.q_logged[matched], variances, requirements)


def dr_lift(
    rows: PairedRows,
    values: tuple[float, float],
    q_logged: FloatArray,
    variances: PairVariances,
    requirements: EvidenceRequirements,
) -> PairedLift:
    """`paired_dr_lift` of the rows with a weight, from both values, their variances, and float[k]: q of the logged
    arms."""
    n = rows.design.sample_size(len(rows.rewards))
    if n < 2:
        values = (math.nan, math.nan)
    scale = 1.0 / n if n else math.nan
    return _lift("dr", _Pair(rows, values, (scale, scale), variances, q_logged), requirements)


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
    """Two values on the same rows, the policy's and the baseline's.

    `centre` float[k] is what is subtracted from the rewards; None if it is the value itself. A reward in row i moves a
    value by its scale times its weight.
    """

    rows: PairedRows
    values: tuple[float, float]
    scales: tuple[float, float]
    variances: PairVariances
    centre: FloatArray | None = None

    def pieces(self) -> list[_Piece]:
        """The disjoint pieces of the two values: where the policy weighs more, where less, and what is common."""
        ours, base = self.rows.ours * self.scales[0], self.rows.base * self.scales[1]
        gap, common = ours - base, np.minimum(ours, base)
        totals = float(ours.sum()), float(base.sum())
        return [
            _Piece(places, weights[places], total)
            for weights, total in ((gap, totals[0]), (-gap, totals[1]), (common, totals[1]))
            for places in (np.flatnonzero(weights > 0.0),)
        ]

    def parts(self, pieces: Sequence[_Piece]) -> PairParts:
        """The parts' variances."""
        more, less, common = (self._score(piece) for piece in pieces)
        known, values = self.variances, (np.asarray(self.values[0]), np.asarray(self.values[1]))
        covariance = np.asarray(known.ours), np.asarray(known.both), np.asarray(known.base)
        return PairParts(values, covariance, more, less, common)

    def _score(self, piece: _Piece) -> ScorePart:
        design, size = self.rows.design, self.rows.whole.reward_size
        shares, rewards = piece.weights / piece.total, self.rows.rewards[piece.rows]
        if self.centre is not None:
            kept, centre = design.narrowed(piece.rows, len(self.rows.rewards)), self.centre[piece.rows]
            n = kept.sample_size(len(rewards))
            variances = mean_of(piece.weights * n * (rewards - centre), kept)[1]
            return PartRows(variances, shares, rewards, centre, bends=False).score(kept, size)
        own = float(shares.sum())
        mean = float((shares * rewards).sum()) / own if own > 0.0 else 0.0
        part = PartRows(shares * (rewards - mean), shares, rewards, mean, bends=True)
        return part.score(design.take(piece.rows), size)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """Some rows of a pair, int[m], what a reward in them moves, float[m], and the sum of that over the whole value."""

    rows: IntArray
    weights: FloatArray
    total: float


def _lift(estimator: str, pair: _Pair, requirements: EvidenceRequirements) -> PairedLift:
    ours, base = pair.values
    value, relative = ours - base, math.nan
    error = math.sqrt(pair.variances.gap)
    relative_error = math.nan
    if base > 0:
        ratio = ours / base
        relative = ratio - 1.0
        relative_error = math.sqrt(pair.variances.of_ratio(ratio)) / base
    sides, pieces = pair.rows.sides, pair.pieces()
    refusal, freedom = _evidence_of_difference(pair.rows, pieces, requirements)
    refusal = refusal or infinite_error(error)
    interval = relative_interval = None
    if refusal is None:
        quantile, parts = np.asarray(unit_quantile(freedom, requirements.level)), pair.parts(pieces)
        excess = parts.excess(quantile)
        interval = _interval(lift_bounds(parts, quantile, excess), requirements.level)
        if math.isfinite(relative_error):
            relative_interval = _interval(relative_bounds(parts, quantile, excess), requirements.level)
    return PairedLift(
        estimator=estimator,
        value=value,
        standard_error=error,
        interval=interval,
        relative=relative,
        relative_standard_error=relative_error,
        relative_interval=relative_interval,
        refusal=refusal,
        baseline_value=base,
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
    rows: PairedRows, pieces: Sequence[_Piece], requirements: EvidenceRequirements
) -> tuple[Refusal | None, float]:
    """(refusal, one more than the degrees of freedom of the difference).

    Each policy alone must have the required evidence, and so must the rows in which the two differ, because only those
    determine the difference.
    """
    for side, name in zip(rows.sides, ("the policy", "the baseline"), strict=True):
        lacking = lacking_evidence(side, requirements)
        if lacking is not None:
            return replace(lacking, reason=f"{name}: {lacking.reason}"), 0.0
    freedom = math.inf
    for piece, name in zip(pieces, ("favours", "avoids"), strict=False):
        evidence = rows.evidence_for(piece.weights, piece.rows)
        lacking = lacking_evidence(evidence, requirements)
        if lacking is not None:
            return replace(lacking, reason=f"rows that the policy {name}: {lacking.reason}"), 0.0
        freedom = min(freedom, evidence.freedom)
    return None, freedom
