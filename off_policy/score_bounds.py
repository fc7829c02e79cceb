"""Bounds of values and lifts that hold however rare rewards are: a score interval, or the delta method.

A sample without a reward has a standard error of zero, so value +- t SE covers little where few rewards are expected.
Wilson (1927) solves (V - p)² = t² Var(p) for p, with the variance that the value would have if p were the truth. Here
the variance of a sum of weighted rewards is moved in the same way: if the value were larger by δ,

    Var(V + δ) = Var(V) + slope δ - bend δ²,     slope = (Σ g² / Σ g) (s - 2 k),     bend = Σ g² / (Σ g)² or 0,

with g the weights by which rewards enter the value, k what is subtracted from them (the value itself, or a model's
prediction) and s = Σ r² / Σ r the size of one reward. For even weights and rewards of 0 or 1 it is Wilson's interval
with ESS = (Σ g)² / Σ g² (Kish 1965) as its sample size. Where rows share a user, all terms grow by the design effect,
variance by user / variance by row, at least 1 (Kish 1965; Korn and Graubard 1998 for intervals of proportions).

A lift is the difference of disjoint parts. MOVER (Zou and Donner 2008) puts the distances of the parts' own bounds in
place of t SE, and for ratios (Donner and Zou 2012) into Fieller's theorem. Covariances between the parts are kept as
the delta method finds them.

Wilson's lower bound errs too often where less than one reward is expected, the delta method's upper bound where few
are, so each bound is the more cautious of the two. All arguments may be arrays of one shape: a value each per interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from off_policy.numeric_arrays import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class ScorePart:
    """A sum of weighted rewards: its variance, and how the variance moves with the sum (see above).

    variance      by unit (user or session), from the observed rewards
    row_variance  the same as if every row were a unit
    floor         Σ g² · Σ g (r - k)² / Σ g: the variance by row with the squared residuals averaged by g and not by g²,
                  which a few heavy rows without a reward do not make too small
    """

    variance: FloatArray
    row_variance: FloatArray
    floor: FloatArray
    slope: FloatArray
    bend: FloatArray

    def reach(self, quantile: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(down, up): how far the score interval reaches below and above the sum; `quantile` is Student's t."""
        known = self.row_variance > 0.0
        effect = np.maximum(self.variance / np.where(known, self.row_variance, 1.0), 1.0)
        effect = np.where(known, effect, 1.0)
        squared = np.square(quantile)
        variance = np.maximum(self.variance, effect * self.floor)
        half = squared * effect * self.slope / 2.0
        scale = 1.0 + squared * effect * self.bend
        root = np.sqrt(np.square(half) + scale * squared * variance)
        return np.asarray((root - half) / scale), np.asarray((root + half) / scale)

    def excess(self, quantile: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(down, up): the squares of what `reach` gives, less t² variance: what MOVER adds to the delta method's."""
        down, up = self.reach(quantile)
        plain = np.square(quantile) * self.variance
        return np.square(down) - plain, np.square(up) - plain


@dataclass(frozen=True, slots=True, eq=False)
class PairParts:
    """Two values on one log, A and B, and the disjoint parts of their weights.

    `values` of A and B; `covariance` (Var A, Cov, Var B) by unit; `more` where A's weights exceed B's, `less` where
    B's exceed A's, `common` the weights that both have.
    """

    values: tuple[FloatArray, FloatArray]
    covariance: tuple[FloatArray, FloatArray, FloatArray]
    more: ScorePart
    less: ScorePart
    common: ScorePart

    def excess(self, quantile: FloatArray) -> Excess:
        """What MOVER adds to the delta method's variances."""
        parts = self.more, self.less, self.common
        if any(part.variance.ndim for part in parts):
            more, less, common = (part.excess(quantile) for part in parts)
        else:
            table = np.array([(each.variance, each.row_variance, each.floor, each.slope, each.bend) for each in parts])
            down, up = ScorePart(*table.T).excess(quantile)
            more, less, common = zip(down, up, strict=True)
        return Excess(more, less, np.maximum(*common))


@dataclass(frozen=True, slots=True, eq=False)
class Excess:
    """`ScorePart.excess` of the parts of a pair: (down, up) of `more` and `less`, and of `common` the larger."""

    more: tuple[FloatArray, FloatArray]
    less: tuple[FloatArray, FloatArray]
    common: FloatArray


def value_bounds(value: FloatArray, part: ScorePart, quantile: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(lower, upper) of a value: the score interval or value +- t SE, whichever is farther."""
    down, up = part.reach(quantile)
    plain = quantile * np.sqrt(part.variance)
    return value - np.maximum(plain, down), value + np.maximum(plain, up)


def lift_bounds(pair: PairParts, quantile: FloatArray, excess: Excess | None = None) -> tuple[FloatArray, FloatArray]:
    """(lower, upper) of A - B: MOVER of the parts or the delta method, whichever is farther."""
    ours, both, base = pair.covariance
    lift = pair.values[0] - pair.values[1]
    plain = np.square(quantile) * np.maximum(ours - 2.0 * both + base, 0.0)
    found = excess or pair.excess(quantile)
    (more_down, more_up), (less_down, less_up) = found.more, found.less
    lower = lift - np.sqrt(np.maximum(plain, plain + more_down + less_up))
    upper = lift + np.sqrt(np.maximum(plain, plain + more_up + less_down))
    return lower, upper


def relative_bounds(
    pair: PairParts, quantile: FloatArray, excess: Excess | None = None
) -> tuple[FloatArray, FloatArray]:
    """(lower, upper) of A / B - 1; NaN if B is not positive. The upper bound is infinite if B may be zero.

    MOVER for A - R B = 0 in R: Fieller's quadratic a R² - 2 b R + c with the parts' excess in place of their squared
    errors; or the delta method of the ratio, whichever is farther.
    """
    first, second = pair.values
    ours, both, base = pair.covariance
    positive = second > 0.0
    ratio = first / np.where(positive, second, np.nan)
    plain = quantile * np.sqrt(np.maximum(ours - 2.0 * ratio * both + np.square(ratio) * base, 0.0))
    plain = plain / np.where(positive, second, np.nan)
    found = excess or pair.excess(quantile)
    (more_down, more_up), (less_down, less_up), shared = found.more, found.less, found.common
    squared = np.square(quantile)
    middle = first * second - squared * both - shared

    def quadratic(more: FloatArray, less: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        a = np.square(second) - squared * base - less - shared
        c = np.square(first) - squared * ours - more - shared
        return a, c, np.sqrt(np.maximum(np.square(middle) - a * c, 0.0))

    _, c, root = quadratic(more_down, less_up)
    denominator = middle + root
    low = np.where((c > 0.0) & (denominator > 0.0), c / np.where(denominator > 0.0, denominator, 1.0), 0.0)
    a, _, root = quadratic(more_up, less_down)
    high = np.where(a > 0.0, (middle + root) / np.where(a > 0.0, a, 1.0), np.inf)
    lower = np.where(positive, np.minimum(ratio - plain, low) - 1.0, np.nan)
    upper = np.where(positive, np.maximum(ratio + plain, high) - 1.0, np.nan)
    return lower, upper
