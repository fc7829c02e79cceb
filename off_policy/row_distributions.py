"""A distribution over the arms for every row, held without a cell for every row and arm.

A matrix float[n, arms] of 1,000 arms takes 8 kB a row. Estimators need one probability of each row and sums over rows,
so these classes give the distributions for a block of rows at a time, and rows with equal distributions share one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray

BLOCK_CELLS = 1 << 20
"""Cells of an array that holds one block of rows: 8 MB as float64."""


def row_blocks(rows: int, width: int) -> Iterator[slice]:
    """Cuts `rows` rows of `width` cells into consecutive blocks of at most BLOCK_CELLS cells, but of at least one row.

    Without rows there is one empty block, so that the result of a loop over the blocks has its shape.
    """
    size = max(1, BLOCK_CELLS // max(width, 1))
    for start in range(0, max(rows, 1), size):
        yield slice(start, min(start + size, rows))


class RowDistributions(ABC):
    """A distribution over `arms` arms for each of `rows` rows; subclasses say how it is held."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """The number of rows, n."""

    @property
    @abstractmethod
    def arms(self) -> int:
        """The number of arms."""

    @abstractmethod
    def distinct(self, block: slice) -> tuple[FloatArray, IntArray]:
        """(distributions float[u, arms], index int[k]): row i of the block has the distribution `index[i]`."""

    def block(self, block: slice) -> FloatArray:
        """float[k, arms]: the distribution of each row of the block."""
        distributions, index = self.distinct(block)
        return distributions[index]

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The matrix float[n, arms], for `numpy.asarray`; it takes a cell for every row and arm."""
        if copy is False:
            raise ValueError("distributions that rows share become a matrix only by a copy")
        return np.concatenate([self.block(part) for part in self.blocks()]).astype(dtype or np.float64)

    def blocks(self) -> Iterator[slice]:
        """All rows, in blocks of bounded memory."""
        return row_blocks(self.rows, self.arms)

    def at(self, action: IntArray) -> FloatArray:
        """float[n]: the probability of arm `action[i]` in row i, for action int[n] in 0..arms - 1."""
        chosen = np.empty(self.rows)
        for block in self.blocks():
            distributions, index = self.distinct(block)
            chosen[block] = distributions[index, action[block]]
        return chosen

    def total(self, counted: BoolArray | None = None) -> FloatArray:
        """float[arms]: the sum of the distributions of the `counted` rows, bool[n] (None: of all rows)."""
        total = np.zeros(self.arms)
        for block in self.blocks():
            distributions, index = self.distinct(block)
            kept = index if counted is None else index[counted[block]]
            total += np.bincount(kept, minlength=len(distributions)) @ distributions
        return total


@dataclass(frozen=True, slots=True, eq=False)
class MatrixDistributions(RowDistributions):
    """Distributions from a matrix float[n, arms] that somebody already holds; blocks are views of it."""

    matrix: FloatArray

    @property
    def rows(self) -> int:
        return len(self.matrix)

    @property
    def arms(self) -> int:
        return int(self.matrix.shape[1])

    def distinct(self, block: slice) -> tuple[FloatArray, IntArray]:
        part = self.matrix[block]
        return part, np.arange(len(part))

    def block(self, block: slice) -> FloatArray:
        return self.matrix[block]


@dataclass(frozen=True, slots=True, eq=False)
class SharedDistributions(RowDistributions):
    """Distributions that rows share: row i has the distribution `group[i]`, for group int[n] from 0.

    `distributions(groups)` gives float[len(groups), arms] for groups in ascending order. It is called for the groups
    of one block at a time, so that even with a group for each row they are never all in memory.
    """

    group: IntArray
    width: int
    distributions: Callable[[IntArray], FloatArray]

    @classmethod
    def of_table(cls, table: FloatArray, group: IntArray) -> SharedDistributions:
        """Row i has the distribution `table[group[i]]`, for a table float[groups, arms]."""
        return cls(group, int(table.shape[1]), table.__getitem__)

    @property
    def rows(self) -> int:
        return len(self.group)

    @property
    def arms(self) -> int:
        return self.width

    def distinct(self, block: slice) -> tuple[FloatArray, IntArray]:
        groups, index = np.unique(self.group[block], return_inverse=True)
        return self.distributions(groups), index.reshape(-1)
