"""Moments of expected rewards and of doubly robust terms, block by block of a log's rows and by cell.

Moments of two blocks are combined as Chan, Golub and LeVeque (1983) do, without loss of digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from off_policy.log_slices import LogSlices
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.sampling_design import inner

BLOCK_ROWS = 1 << 14
"""Rows whose values fit into a core's cache: 128 kB as float64."""


@dataclass(slots=True, eq=False)
class Moments:
    """Of x = qbar, of the gap g between the policy's DR terms and the baseline's, and of these, y.

    n         float[...]: rows; the shape is (objectives, cells), or any other
    means     float[3, ...]: of x, g and y
    products  float[4, ...]: Σ of the centred products xx, gg, gy and yy
    """

    n: FloatArray
    means: FloatArray
    products: FloatArray

    @classmethod
    def zero(cls, shape: tuple[int, ...]) -> Moments:
        """Those of no rows."""
        return cls(np.zeros(shape), np.zeros((3, *shape)), np.zeros((4, *shape)))

    def add(self, other: Moments) -> None:
        """Includes further rows."""
        total = self.n + other.n
        share = other.n / np.maximum(total, 1.0)
        apart = other.means - self.means
        self.products += other.products + apart[[0, 1, 1, 2]] * apart[[0, 1, 2, 2]] * (self.n * share)
        self.means += apart * share
        self.n = total

    def of(self, objective: int, cell: int | None) -> Moments:
        """Those of one objective in one cell, or in all (None), from moments by objective and cell."""
        chosen = slice(None) if cell is None else slice(cell, cell + 1)
        found = Moments.zero(())
        for n, means, products in zip(
            self.n[objective, chosen],
            self.means[:, objective, chosen].T,
            self.products[:, objective, chosen].T,
            strict=True,
        ):
            found.add(Moments(n, means, products))
        return found


class LogBlock:
    """Consecutive rows of a log; of each objective those in which it was observed, in the order of their cells."""

    def __init__(self, slices: LogSlices, rows: slice) -> None:
        log, self._cell = slices.log, slices.cell[rows]
        self.slices, self.rows, self._count = slices, rows, rows.stop - rows.start
        by_cell = np.argsort(self._cell, kind="stable") if slices.cells > 1 else np.arange(self._count)
        everywhere = self._places(by_cell)
        self._order, self._place = list[IntArray](), list[IntArray]()
        for objective, complete in enumerate(slices.complete):
            order = by_cell if complete else by_cell[log.observed[rows, objective][by_cell]]
            self._order.append(order)
            self._place.append(everywhere if complete else self._places(order))
        self._bounds = [
            np.searchsorted(self._cell[order], np.arange(slices.cells + 1)).tolist() for order in self._order
        ]
        self._base: list[FloatArray] = []

    def set_baseline(self, expected: FloatArray, own: IntArray, corrections: FloatArray) -> None:
        """Sets the baseline's DR terms: `expected` float[rows, O] plus `corrections` float[k, O] in its rows int[k]."""
        self._base = [
            self._terms(objective, expected[order, objective], own, corrections)
            for objective, order in enumerate(self._order)
        ]

    def moments(self, expected: FloatArray, own: IntArray, corrections: FloatArray) -> Moments:
        """Of a policy, from the arguments of `set_baseline`; if rows share units, only those of x."""
        found = Moments.zero((len(self._order), self.slices.cells))
        for objective, order in enumerate(self._order):
            x = expected[order, objective]
            gap = base = None
            if self.slices.units is None:
                base = self._base[objective]
                gap = self._terms(objective, x, own, corrections) - base
            for cell, part in self._cells(objective):
                found.n[objective, cell] = part.stop - part.start
                found.means[0, objective, cell], centred = _centred(x[part])
                found.products[0, objective, cell] = inner(centred, centred)
                if gap is None or base is None:
                    continue
                found.means[1, objective, cell], gaps = _centred(gap[part])
                found.means[2, objective, cell], bases = _centred(base[part])
                found.products[1:, objective, cell] = inner(gaps, gaps), inner(gaps, bases), inner(bases, bases)
        return found

    def add_unit_totals(self, totals: FloatArray, expected: FloatArray) -> None:
        """Adds `expected` float[rows, O] to totals float[O, m] by the numbers of `UnitCells`."""
        assert self.slices.units is not None
        numbers = self.slices.units.number[self.rows]
        for objective, order in enumerate(self._order):
            np.add.at(totals[objective], numbers[order], expected[order, objective])

    def _cells(self, objective: int) -> Iterator[tuple[int, slice]]:
        for cell, (first, last) in enumerate(pairwise(self._bounds[objective])):
            if first < last:
                yield cell, slice(first, last)

    def _places(self, order: IntArray) -> IntArray:
        """int[rows]: the place of each row in the order, -1 of those that are not in it."""
        places = np.full(self._count, -1)
        places[order] = np.arange(len(order))
        return places

    def _terms(self, objective: int, values: FloatArray, own: IntArray, corrections: FloatArray) -> FloatArray:
        found, places, added = values.copy(), self._place[objective][own], corrections[:, objective]
        if not self.slices.complete[objective]:
            seen = places >= 0
            places, added = places[seen], added[seen]
        found[places] += added
        return found


def log_blocks(slices: LogSlices, rows: slice) -> list[LogBlock]:
    """`rows` of a log in blocks of at most BLOCK_ROWS; one empty block without rows."""
    starts = range(rows.start, max(rows.stop, rows.start + 1), BLOCK_ROWS)
    return [LogBlock(slices, slice(start, min(start + BLOCK_ROWS, rows.stop))) for start in starts]


def _centred(values: FloatArray) -> tuple[float, FloatArray]:
    mean = float(values.sum()) / len(values)
    return mean, values - mean
