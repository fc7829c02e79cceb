"""Pearson's χ² test of how often arms occur, against the distributions that the rows declare.

Rows that declare the same distribution are a group with a test of its own, if it is large enough, and all rows together
have one too. Sums over rows with different distributions vary less than a multinomial: Σ p_i·p_iᵀ is at least
n·p̄·p̄ᵀ, so that the test of all rows is conservative there.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from learner.judgement.declared_distributions import DeclaredDistributions
from learner.judgement.tested_part import TestedPart, smallest_of

SMALLEST_EXPECTED = 5.0 - 1e-9
"""Five rows; sums of probabilities may lie a rounding below it."""
FEWEST_IN_GROUP = 30
"""Smaller groups are only tested with all other rows."""


def arm_count_parts(
    arms: NDArray[np.int64], declared: DeclaredDistributions, counted: NDArray[np.bool_]
) -> list[TestedPart]:
    """The tests of the rows `counted`, bool[n], whose arms are arms[counted]; none without rows."""
    if not counted.any():
        return []
    statistic, degrees = _chi_square(arms[counted], declared.expected_counts(counted))
    return [_part(statistic, degrees, ""), *_grouped(arms, declared, counted)]


def _grouped(arms: NDArray[np.int64], declared: DeclaredDistributions, counted: NDArray[np.bool_]) -> list[TestedPart]:
    """The sum over the large groups and the worst of them; nothing if all rows are one group."""
    places = np.flatnonzero(counted)
    _, group, sizes = np.unique(declared.groups[places], return_inverse=True, return_counts=True)
    if len(sizes) == 1:
        return []
    order = np.argsort(group.reshape(-1), kind="stable")
    found = []
    for members in np.split(order, np.cumsum(sizes)[:-1]):
        if len(members) >= FEWEST_IN_GROUP:
            rows = places[members]
            found.append(_chi_square(arms[rows], len(rows) * declared.of_row(int(rows[0]))))
    found = [(statistic, degrees) for statistic, degrees in found if degrees]
    if not found:
        return []
    total = sum(statistic for statistic, _ in found), sum(degrees for _, degrees in found)
    worst = smallest_of([float(chdtrc(degrees, statistic)) for statistic, degrees in found])
    among = f" within {len(found)} groups of equal distributions"
    return [_part(*total, among), TestedPart(worst, "chi_square", f"the worst of these groups has p = {worst:.3g}")]


def _chi_square(arms: NDArray[np.int64], expected: NDArray[np.float64]) -> tuple[float, int]:
    """(statistic, degrees of freedom) of the counts of `arms` against the `expected` ones, float64[arms].

    Arms with fewer than 5 expected rows are pooled into one cell, with the rarest others until it expects 5. An arm
    that is never drawn makes the statistic infinite; with no degrees of freedom there are too few rows.
    """
    observed = np.bincount(arms, minlength=len(expected)).astype(np.float64)
    if observed[expected == 0.0].any():
        return np.inf, 1
    sparse = expected < SMALLEST_EXPECTED
    if sparse.any():
        order = np.argsort(expected, kind="stable")
        enough = int(np.searchsorted(np.cumsum(expected[order]), SMALLEST_EXPECTED)) + 1
        sparse[order[:enough]] = True
    observed = np.append(observed[~sparse], observed[sparse].sum())
    expected = np.append(expected[~sparse], expected[sparse].sum())
    if expected[-1] == 0.0:
        observed, expected = observed[:-1], expected[:-1]
    if len(expected) < 2:
        return 0.0, 0
    return float((np.square(observed - expected) / expected).sum()), len(expected) - 1


def _part(statistic: float, degrees: int, among: str) -> TestedPart:
    if not degrees:
        return TestedPart(1.0, "chi_square", "too few rows for the test")
    if statistic == np.inf:
        return TestedPart(0.0, "chi_square", f"rows have arms that are never drawn{among}")
    detail = f"chi-square {statistic:.1f} on {degrees} degrees{among}"
    return TestedPart(float(chdtrc(degrees, statistic)), "chi_square", detail)
