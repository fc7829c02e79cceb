"""Relative DR lifts of many logs at once, from the counts of equal rows.

The sums are those of `off_policy.paired_lift`; the bounds are computed by `off_policy.score_bounds` itself. A test
writes the rows out and compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from off_policy.intervals import FEWEST_EXPECTED, FEWEST_FREEDOM
from off_policy.numeric_arrays import BoolArray, FloatArray
from off_policy.score_bounds import PairParts, ScorePart, relative_bounds


@dataclass(frozen=True, slots=True, eq=False)
class RowKinds:
    """R logs of k kinds of rows, all float[R, k]: how many rows, and what they have in common.

    reward             0 or 1
    ours, base         importance weights of the policy and of the baseline
    logged             prediction for the logged arm
    q_ours, q_base     predictions for the policy's and the baseline's choice
    """

    count: FloatArray
    reward: FloatArray
    ours: FloatArray
    base: FloatArray
    logged: FloatArray
    q_ours: FloatArray
    q_base: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class RelativeLifts:
    """R relative lifts: the bounds at one level, and whether there is an interval with the gate's minimum of rows."""

    lower: FloatArray
    upper: FloatArray
    answered: BoolArray


def relative_lifts(kinds: RowKinds, level: float, min_matched_rows: int, min_positives: int) -> RelativeLifts:
    """The intervals at coverage `level`; rows are independent."""
    count, rows = kinds.count, kinds.count.sum(axis=1)
    residual = kinds.reward - kinds.logged
    terms = [q + w * residual for q, w in ((kinds.q_ours, kinds.ours), (kinds.q_base, kinds.base))]
    values = [(count * each).sum(axis=1) / rows for each in terms]
    apart = [each - value[:, None] for each, value in zip(terms, values, strict=True)]
    scale = rows * (rows - 1.0)
    covariance = [(count * apart[a] * apart[b]).sum(axis=1) / scale for a, b in ((0, 0), (0, 1), (1, 1))]
    common = np.minimum(kinds.ours, kinds.base)
    totals = [(count * each).sum(axis=1) for each in (kinds.ours, kinds.base)]
    with np.errstate(divide="ignore", invalid="ignore"):
        more, less, both = (
            _part(kinds, weight, total)
            for weight, total in (
                (kinds.ours - common, totals[0]),
                (kinds.base - common, totals[1]),
                (common, totals[1]),
            )
        )
        freedom = np.minimum(*(_freedom(count, weight) for weight in (kinds.ours - common, kinds.base - common)))
        quantile = stdtrit(np.maximum(freedom - 1.0, 1.0), 0.5 + level / 2.0) * freedom / np.maximum(freedom - 1.0, 1.0)
        pair = PairParts((values[0], values[1]), (covariance[0], covariance[1], covariance[2]), more, less, both)
        lower, upper = relative_bounds(pair, np.asarray(quantile))
    enough = np.isfinite(lower + upper) & (freedom - 1.0 >= FEWEST_FREEDOM - 1e-9)
    free = (kinds.ours == 0.0) & (kinds.base == 0.0)
    rate = (count * free * kinds.reward).sum(axis=1) / np.maximum((count * free).sum(axis=1), 1.0)
    for weight in (kinds.ours, kinds.base):
        matched = (count * (weight > 0.0)).sum(axis=1)
        ess = np.square((count * weight).sum(axis=1)) / np.maximum((count * np.square(weight)).sum(axis=1), 1e-300)
        enough &= (matched >= min_matched_rows) & (ess * rate >= max(min_positives, FEWEST_EXPECTED))
    return RelativeLifts(lower, upper, np.asarray(enough))


def _freedom(count: FloatArray, weight: FloatArray) -> FloatArray:
    """(Σ w²)² / Σ w⁴; 0 without weights."""
    squares, fourth = (count * weight**2).sum(axis=1), (count * weight**4).sum(axis=1)
    return np.asarray(np.where(fourth > 0.0, squares**2 / np.where(fourth > 0.0, fourth, 1.0), 0.0))


def _part(kinds: RowKinds, weight: FloatArray, policy_total: FloatArray) -> ScorePart:
    """As `off_policy.weighted_parts.PartRows.score` for rewards of 0 or 1."""
    count, rows = kinds.count, kinds.count.sum(axis=1)
    residual = kinds.reward - kinds.logged
    shares = weight / policy_total[:, None]
    term = weight * residual
    mean = (count * term).sum(axis=1) / rows
    variance = (count * np.square(term - mean[:, None])).sum(axis=1) / (rows * (rows - 1.0))
    total, squares = (count * shares).sum(axis=1), (count * np.square(shares)).sum(axis=1)
    spread = (count * shares * np.square(residual)).sum(axis=1) / total
    leaning = (count * shares * residual).sum(axis=1)
    middle = (count * np.square(shares) * kinds.logged).sum(axis=1) / squares
    found = ScorePart(
        variance=variance,
        row_variance=variance,
        floor=np.maximum(squares * spread - np.square(leaning) / rows, 0.0),
        slope=squares / total * (1.0 - 2.0 * middle),
        bend=np.zeros_like(total),
    )
    return ScorePart(*(np.where(total > 0.0, getattr(found, name), 0.0) for name in ScorePart.__dataclass_fields__))
