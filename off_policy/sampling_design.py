"""How the rows of a log depend on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from off_policy.numeric_arrays import FloatArray, IntArray

FEW = 8192
"""Terms that one core sums; OpenBLAS splits dot products of more than 10,000."""


@dataclass(frozen=True, slots=True)
class Variances:
    """The variance of an estimate: by unit (user or session), and as if every row were a unit; NaN if undefined."""

    by_unit: float
    by_row: float

    @property
    def error(self) -> float:
        """The standard error, by unit."""
        return math.sqrt(self.by_unit)


@dataclass(frozen=True, slots=True, eq=False)
class AbsentRows:
    """Rows of a sample that are not at hand, because they have no weight and so one and the same term.

    rows     their number
    by_unit  float[u]: how many of them belong to each unit at hand; None if every row is a unit
    squares  Σ N² over the units of which no row is at hand, N being a unit's rows
    places   int[u]: the position of each unit at hand among all units of the sample; None if every row is a unit
    """

    rows: int
    by_unit: FloatArray | None
    squares: float
    places: IntArray | None


@dataclass(frozen=True, slots=True, eq=False)
class SamplingDesign:
    """What standard errors and degrees of freedom of a sample of n rows are computed by.

    units   int[k], numbers from 0: rows with one number belong together (a user, a session), so their rewards may be
            alike. None: every row is a unit of its own
    absent  the other n - k rows of the sample; None: all rows are at hand, k = n
    """

    units: IntArray | None = None
    absent: AbsentRows | None = None

    def take(self, rows: IntArray) -> SamplingDesign:
        """The design of a sample of these rows alone."""
        return SamplingDesign(None if self.units is None else self.units[rows])

    def narrowed(self, rows: IntArray, at_hand: int) -> SamplingDesign:
        """The same sample with only `rows` int[m] of those at hand, of which there are `at_hand`."""
        others = self.sample_size(at_hand) - len(rows)
        if self.units is None:
            return SamplingDesign(None, AbsentRows(others, None, 0.0, None))
        squares, further = 0.0, np.zeros(int(self.units.max(initial=-1)) + 1)
        places = np.arange(len(further))
        if self.absent is not None and self.absent.by_unit is not None and self.absent.places is not None:
            squares, further, places = self.absent.squares, self.absent.by_unit, self.absent.places
        units, count = self.units[rows], len(further)
        left = np.bincount(self.units, minlength=count) - np.bincount(units, minlength=count)
        return SamplingDesign(units, AbsentRows(others, left + further, squares, places))

    def sample_size(self, at_hand: int) -> int:
        """n, for k rows at hand."""
        return at_hand if self.absent is None else at_hand + self.absent.rows

    def sums(self, terms: FloatArray) -> FloatArray:
        """The sums of terms[k] over each unit; the terms themselves if every row is a unit."""
        if self.units is None:
            return terms
        absent = None if self.absent is None else self.absent.by_unit
        least = 0 if absent is None else len(absent)
        sums: FloatArray = np.bincount(self.units, weights=terms, minlength=least).astype(np.float64, copy=False)
        return sums

    def repeats(self, rows: IntArray) -> bool:
        """Whether two of these rows at hand belong to one unit."""
        return self.units is not None and int(np.bincount(self.units[rows]).max(initial=0)) > 1

    def error(self, influence: FloatArray) -> float:
        """sqrt(sum over units of (sum of their influence terms)^2): the cluster-robust standard error.

        With every row a unit it is sqrt(sum psi^2), the standard error of independent rows.
        """
        return math.sqrt(self.covariance(influence, influence))

    def covariance(self, first: FloatArray, second: FloatArray) -> float:
        """Sum over units of (sum of their first terms) (sum of their second terms); those of absent rows are 0."""
        one = self.sums(first)
        return inner(one, one if second is first else self.sums(second))

    def variances(self, influence: FloatArray, of_absent: float = 0.0) -> Variances:
        """The sums of squared influence terms, float[k]; each absent row has the term `of_absent`."""
        by_row = inner(influence, influence)
        absent = self.absent
        if absent is None or of_absent == 0.0:
            return Variances(by_row if self.units is None else self.covariance(influence, influence), by_row)
        square = of_absent * of_absent
        by_row += absent.rows * square
        if absent.by_unit is None:
            return Variances(by_row, by_row)
        sums = self.sums(influence) + of_absent * absent.by_unit
        return Variances(inner(sums, sums) + absent.squares * square, by_row)


BY_ROW = SamplingDesign()
"""Every row is a unit of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitRows:
    """A whole sample: its n rows, and with units float[U], how many rows each of them has."""

    rows: int
    by_unit: FloatArray | None = None
    squares: float = 0.0

    @classmethod
    def of(cls, rows: int, by_unit: FloatArray | None) -> Self:
        """For `rows` rows; None if every row is a unit."""
        return cls(rows, by_unit, 0.0 if by_unit is None else inner(by_unit, by_unit))

    def design(self, at_hand: int, units: IntArray | None) -> SamplingDesign:
        """The sample's design with `at_hand` of its rows at hand, which belong to `units` int[k], numbers below U."""
        others = self.rows - at_hand
        if units is None or self.by_unit is None:
            return SamplingDesign(None, AbsentRows(others, None, float(others), None))
        present = np.zeros(len(self.by_unit), dtype=np.bool_)
        present[units] = True
        places = np.flatnonzero(present)
        numbers = np.empty(len(self.by_unit), dtype=np.int64)
        numbers[places] = np.arange(len(places))
        of_these, sizes = numbers[units], self.by_unit[places]
        absent = sizes - np.bincount(of_these, minlength=len(places))
        return SamplingDesign(of_these, AbsentRows(others, absent, self.squares - inner(sizes, sizes), places))


def inner(first: FloatArray, second: FloatArray) -> float:
    """Σ first second. BLAS would split long arrays over all cores, whose waiting costs more than the sum."""
    return float(first.dot(second) if len(first) <= FEW else np.einsum("i,i", first, second))
