"""How the rows of a log depend on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from off_policy.numeric_arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class SamplingDesign:
    """What standard errors and degrees of freedom of a sample of n rows are computed by.

    units  int[n], numbers from 0: rows with one number belong together (a user, a session), so their rewards may be
           alike. None: every row is a unit of its own
    """

    units: IntArray | None = None

    def take(self, rows: IntArray) -> SamplingDesign:
        """The design of these rows alone."""
        return SamplingDesign(None if self.units is None else self.units[rows])

    def sums(self, terms: FloatArray) -> FloatArray:
        """The sums of terms[n] over each unit; the terms themselves if every row is a unit."""
        if self.units is None:
            return terms
        sums: FloatArray = np.bincount(self.units, weights=terms).astype(np.float64)
        return sums

    def repeats(self, rows: IntArray) -> bool:
        """Whether two of these rows belong to one unit."""
        return self.units is not None and int(np.bincount(self.units[rows]).max(initial=0)) > 1

    def error(self, influence: FloatArray) -> float:
        """sqrt(sum over units of (sum of their influence terms)^2): the cluster-robust standard error.

        With every row a unit it is sqrt(sum psi^2), the standard error of independent rows.
        """
        return math.sqrt(self.covariance(influence, influence))

    def covariance(self, first: FloatArray, second: FloatArray) -> float:
        """Sum over units of (sum of their first terms) (sum of their second terms)."""
        return float((self.sums(first) * self.sums(second)).sum())


BY_ROW = SamplingDesign()
"""Every row is a unit of its own."""
