"""The expected rewards of a policy over all rows of a sample, by their moments and the values in a few rows.

A doubly robust estimate adds a correction to them in the rows that have a weight, often a few in a hundred. So the sum
of squares over all rows follows from that of the expected rewards alone and from the rows with a correction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from off_policy.numeric_arrays import FloatArray
from off_policy.sampling_design import SamplingDesign, Variances, inner


@dataclass(frozen=True, slots=True, eq=False)
class CentredSums:
    """Sums of d = qbar - mean(qbar) over the units of a sample, or over its rows as units of one row.

    at_hand       float[u]: d of the units at hand
    rows          float[u]: their rows, N
    squares       Σ d² of all units, at hand or not
    with_rows     Σ d N of all units
    row_squares   Σ N² of all units
    complete      whether every unit is at hand
    """

    at_hand: FloatArray
    rows: FloatArray | float
    squares: float
    with_rows: float
    row_squares: float
    complete: bool

    def moved(self, corrections: FloatArray, shift: float) -> float:
        """Σ (d + correction - shift N)² of all units; corrections float[u] of those at hand, 0 in the others."""
        d, rows = self.at_hand, self.rows
        here = d + (corrections - shift * rows)
        if self.complete:
            return inner(here, here)
        squares = self.squares - inner(d, d)
        if isinstance(rows, float):
            with_rows, row_squares = self.with_rows - float(d.sum()), self.row_squares - len(d)
        else:
            with_rows, row_squares = self.with_rows - inner(d, rows), self.row_squares - inner(rows, rows)
        return inner(here, here) + max(squares - 2.0 * shift * with_rows + shift * shift * row_squares, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedRewards:
    """qbar_i = sum_a pi(a|x_i) q(x_i, a) of the n rows of a sample.

    n, mean   of qbar; the mean is NaN without rows
    by_row    the sums over rows
    by_unit   the sums over units; None if every row is a unit
    """

    n: int
    mean: float
    by_row: CentredSums
    by_unit: CentredSums | None = None

    @classmethod
    def of(cls, values: FloatArray, design: SamplingDesign) -> Self:
        """Of a sample whose rows are all at hand: values float[n]."""
        n = len(values)
        mean = float(values.sum()) / n if n else math.nan
        centred = values - mean
        by_unit = None
        if design.units is not None:
            by_unit = CentredSums(
                design.sums(centred), np.bincount(design.units).astype(np.float64), 0.0, 0.0, 0.0, complete=True
            )
        return cls(n, mean, CentredSums(centred, 1.0, 0.0, 0.0, 0.0, complete=True), by_unit)

    def variances(self, corrections: FloatArray, design: SamplingDesign) -> Variances:
        """Of the mean of qbar + correction: corrections float[k] of the rows at hand, 0 in the others; NaN below two
        rows."""
        if self.n < 2:
            return Variances(math.nan, math.nan)
        shift, scale = float(corrections.sum()) / self.n, self.n * (self.n - 1.0)
        by_row = self.by_row.moved(corrections, shift) / scale
        if self.by_unit is None:
            return Variances(by_row, by_row)
        return Variances(self.by_unit.moved(design.sums(corrections), shift) / scale, by_row)
