"""The slices of a log that estimates are made for, every objective over all rows and in each cohort, and its cells.

Each row lies in one cell: that of its cohort, or the last one if it has none. What is summed by cell, or by the units
of a cell, is summed for every slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from off_policy.importance_weights import Elsewhere
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray
from off_policy.sampling_design import UnitRows


@dataclass(frozen=True, slots=True, eq=False)
class UnitCells:
    """The units of each cell: a unit of two cohorts counts in both.

    number  int32[n]: the number of each row's unit and cell; those of one cell are consecutive
    unit    int32[m]: the unit of each number
    bounds  int[cells + 1]: the first number of each cell, and m
    """

    number: npt.NDArray[np.int32]
    unit: npt.NDArray[np.int32]
    bounds: IntArray

    @classmethod
    def of(cls, units: IntArray, cell: npt.NDArray[np.int32], cells: int) -> UnitCells:
        """Of rows with these units and cells, both from 0."""
        count = int(units.max(initial=-1)) + 1
        places = cell.astype(np.int64) * count + units
        present = np.zeros(cells * count, dtype=np.bool_)
        present[places] = True
        found = np.flatnonzero(present)
        number = (np.cumsum(present, dtype=np.int32) - np.int32(1))[places]
        bounds = np.searchsorted(found, np.arange(cells + 1) * count)
        return cls(number, (found % max(count, 1)).astype(np.int32), bounds)

    @property
    def unit_count(self) -> int:
        return int(self.unit.max(initial=-1)) + 1


class LogSlices:
    """A log by cell and unit, prepared once for all policies."""

    def __init__(self, log: LoggedBandit) -> None:
        self.log, self.names = log, log.cohort_names
        self.cells = len(self.names) + 1
        self.cell = _cells(log, self.names)
        self.units = None if log.units is None else UnitCells.of(log.units, self.cell, self.cells)
        self.complete = [bool(log.observed[:, place].all()) for place in range(len(log.objectives))]

    def slices(self) -> list[LogSlice]:
        """All rows first, then the cohorts; within each, the objectives in their order."""
        scopes = [None, *range(len(self.names))]
        return [LogSlice(self, cell, index) for cell in scopes for index in range(len(self.log.objectives))]


@dataclass(frozen=True, eq=False)
class LogSlice:
    """The rows in which one objective was observed, in one cell (None: in all)."""

    of: LogSlices
    cell: int | None
    objective: int

    @property
    def cohort(self) -> str | None:
        return None if self.cell is None else self.of.names[self.cell]

    @property
    def name(self) -> str:
        return self.of.log.objectives[self.objective]

    @cached_property
    def whole(self) -> Elsewhere:
        """The number of its rows, that of positives, and the sums of rewards."""
        rewards = self.of.log.reward[:, self.objective]
        chosen = self.inside(slice(None))
        return Elsewhere.of(np.ascontiguousarray(rewards if chosen is None else rewards[chosen]))

    @cached_property
    def unit_rows(self) -> UnitRows:
        """Its rows by unit."""
        units, chosen = self.of.units, self.inside(slice(None))
        if units is None:
            return UnitRows.of(self.whole.rows, None)
        numbers = units.number if chosen is None else units.number[chosen]
        counts = np.bincount(numbers, minlength=len(units.unit)).astype(np.float64)
        return UnitRows.of(self.whole.rows, self.by_unit(counts))

    def inside(self, rows: IntArray | slice) -> BoolArray | None:
        """Which of these rows of the log lie in the slice; None if all do."""
        found: BoolArray | None = None
        if not self.of.complete[self.objective]:
            found = self.of.log.observed[rows, self.objective]
        if self.cell is not None:
            members = self.of.cell[rows] == self.cell
            found = members if found is None else members & found
        return found

    def units_of(self, rows: IntArray) -> IntArray | None:
        """int[k]: the slice's unit numbers of these rows in it; None if every row is a unit."""
        units = self.of.units
        if units is None:
            return None
        numbers = units.number[rows]
        if self.cell is not None:
            numbers = numbers - units.bounds[self.cell]
        elif self.of.cells > 1:
            numbers = units.unit[numbers]
        return numbers.astype(np.int64, copy=False)

    def by_unit(self, sums: FloatArray) -> FloatArray:
        """float[U]: sums float[m] over the units of cells, by the slice's units."""
        units = self.of.units
        assert units is not None
        if self.cell is not None:
            return sums[units.bounds[self.cell] : units.bounds[self.cell + 1]]
        if self.of.cells == 1:
            return sums
        found: FloatArray = np.bincount(units.unit, weights=sums, minlength=units.unit_count).astype(
            np.float64, copy=False
        )
        return found


def _cells(log: LoggedBandit, names: tuple[str, ...]) -> npt.NDArray[np.int32]:
    if log.cohort is None:
        return np.zeros(log.rows, dtype=np.int32)
    numbers = dict.fromkeys(set(log.cohort), len(names)) | {name: place for place, name in enumerate(names)}
    return np.fromiter(map(numbers.__getitem__, log.cohort), dtype=np.int32, count=log.rows)
