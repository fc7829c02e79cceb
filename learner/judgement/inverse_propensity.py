"""Tests of rows whose distributions are not known, only the propensity of the arm that was drawn.

If every eligible arm may be drawn, then E[1{arm = a} / propensity] = 1 for each arm a that a row allows, so over N such
rows the sum of 1 / propensity over those that drew a is N in expectation. The mean over arms of this is
E[1 / (propensity · eligible arms)] = 1. The first finds arms that occur too often or too rarely, and the second a
factor in all propensities. Both hold in a mixture of logs of several policies.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from learner.examples.eligible_lists import EligibleLists
from learner.judgement.declared_distributions import PROPENSITY_TOLERANCE
from learner.judgement.tested_part import TestedPart

FEWEST_FOREIGN = 30
"""Fewer rows cannot be tested as the log of another policy."""
FEWEST_DIGITS, MOST_DIGITS = 3, 5
"""Decimals to which propensities may be rounded; with more, the tolerance is larger than the rounding."""
FLOAT_NOISE = 1e-12
MOST_ROUNDING = 0.1
"""A propensity that is rounded further, relative to itself, is wrong."""
FEWEST_DRAWS = 50.0
"""Expected and effective draws of an arm, below which it has no test: its distribution is too far from normal."""


def rounding_of(propensities: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far the true propensities may lie from the logged ones: half a unit of the last decimal, a tenth at most."""
    found = np.full(len(propensities), PROPENSITY_TOLERANCE)
    for digits in range(MOST_DIGITS, FEWEST_DIGITS - 1, -1):
        rounded = np.abs(np.round(propensities, digits) - propensities) < FLOAT_NOISE
        found[rounded] = 0.5 * 10.0**-digits + FLOAT_NOISE
    rounding: NDArray[np.float64] = np.minimum(found, MOST_ROUNDING * propensities)
    return rounding


@dataclass(frozen=True, eq=False)
class ForeignRows:
    """Rows of one log of unknown distributions: arms int64[n] of `width`, propensities float64[n], and what they allow.

    `name` says which rows they are, for people.
    """

    arms: NDArray[np.int64]
    propensities: NDArray[np.float64]
    eligible: EligibleLists
    width: int
    name: str = ""

    def parts(self) -> list[TestedPart]:
        """The test of the mean and that of the arms; none without rows."""
        if not len(self.arms):
            return []
        if len(self.arms) < FEWEST_FOREIGN:
            return [self._part(1.0, "too few rows for the test")]
        return [self._mean_test(), self._arm_test()]

    def _part(self, p_value: float, detail: str) -> TestedPart:
        return TestedPart(p_value, "inverse_propensity", f"{self.name}{': ' if self.name else ''}{detail}")

    def _mean_test(self) -> TestedPart:
        """A z-test of the mean of 1 / (propensity · arms), where each propensity may be off by its rounding."""
        arms, rounding = self.eligible.counts(self.width), rounding_of(self.propensities)
        terms = 1.0 / (self.propensities * arms)
        detail = f"mean of 1 / (propensity x arms) is {terms.mean():.3f}, expected 1"
        error = float(terms.std(ddof=1)) / math.sqrt(len(terms))
        if error <= FLOAT_NOISE * float(terms.mean()):
            return self._part(self._p_of_equal_terms(rounding, arms), detail)
        least, most = (float((1.0 / ((self.propensities + off) * arms)).mean()) for off in (rounding, -rounding))
        deviation = max(0.0, least - 1.0, 1.0 - most)
        return self._part(float(2 * ndtr(-deviation / error)), detail)

    def _arm_test(self) -> TestedPart:
        """A χ² test of each arm's sum S of 1 / propensity against the number N of rows that allow the arm.

        The variance of S is E[Σ 1 / p²] − N, where E[Σ 1 / p²] is estimated by N·(Σ 1 / p²) / S: for an arm with one
        propensity that is exactly N·(1 / p − 1). The squared z of an arm is multiplied by 1 − draws / S, which makes
        the sum Pearson's statistic for a fixed distribution; its degrees of freedom are one too many then.
        """
        allowed, rounding = self._allowed_counts(), rounding_of(self.propensities)
        inverse = 1.0 / self.propensities
        draws, sums, squares, least, most = (
            np.bincount(self.arms, weights=each, minlength=self.width)
            for each in (
                np.ones(len(inverse)),
                inverse,
                inverse**2,
                1.0 / (self.propensities + rounding),
                1.0 / (self.propensities - rounding),
            )
        )
        drawn = np.flatnonzero(draws)
        draws, sums, squares, rows = draws[drawn], sums[drawn], squares[drawn], allowed[drawn]
        typical = draws / sums
        variance = rows * squares / sums - rows
        tested = (
            (rows * typical >= FEWEST_DRAWS) & (sums**2 / squares >= FEWEST_DRAWS) & (variance > FLOAT_NOISE * rows)
        )
        if not tested.any():
            return self._part(1.0, "too few rows of any arm for a test of the arms")
        deviation = np.maximum(0.0, np.maximum(least[drawn] - rows, rows - most[drawn]))[tested]
        statistic = float(((1.0 - typical[tested]) * deviation**2 / variance[tested]).sum())
        degrees = int(tested.sum())
        detail = f"chi-square {statistic:.1f} on {degrees} arms' sums of 1 / propensity"
        return self._part(float(chdtrc(degrees, statistic)), detail)

    def _allowed_counts(self) -> NDArray[np.float64]:
        """float64[width]: how many rows allow each arm."""
        allowed, sizes = np.zeros(self.width), np.bincount(self.eligible.group)
        groups = np.flatnonzero(sizes)
        step = max(1, (1 << 20) // self.width)
        for start in range(0, len(groups), step):
            part = groups[start : start + step]
            allowed += sizes[part] @ self.eligible.masks(part, self.width)
        return allowed

    def _p_of_equal_terms(self, rounding: NDArray[np.float64], eligible: NDArray[np.int64]) -> float:
        """The p-value where all terms are equal, so that their mean has no variance.

        Take the rows that allowed the same arms. The arms they drew have one propensity, and cannot have more than 1
        together. If the propensity is below 1 / eligible arms, other arms must have more; that no row drew one of those
        has at most the probability (propensity · eligible arms)^rows. If it is above, the other arms are rare, which no
        draws contradict.
        """
        said, drawn, lists = self.propensities, self.arms, self.eligible.group
        order = np.lexsort((drawn, lists))
        starts = np.flatnonzero(np.diff(lists[order], prepend=-1))
        fresh = (np.diff(lists[order], prepend=-1) != 0) | (np.diff(drawn[order], prepend=-1) != 0)
        distinct = np.add.reduceat(fresh.astype(np.int64), starts)
        least = np.minimum.reduceat((said - rounding)[order], starts)
        if (least * distinct > 1.0 + FLOAT_NOISE).any():
            return 0.0
        most = np.maximum.reduceat((said + rounding)[order], starts)
        rows = np.diff(np.append(starts, len(order)))
        return float(np.prod(np.minimum(1.0, most * eligible[order][starts]) ** rows))
