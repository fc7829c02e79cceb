"""Which arms each request allowed, held as logged: no array has a cell for every row and arm."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class EligibleLists:
    """Row i lists the arms `distinct[group[i]]`, group int64[n]; an empty list allows every arm."""

    group: NDArray[np.int64]
    distinct: pl.Series

    @classmethod
    def of(cls, listed: pl.Series) -> Self:
        """From the lists of all rows, a column of lists of arms; null is an empty list."""
        numbered = listed.rename("arms").to_frame().with_row_index("row")
        grouped = numbered.group_by("arms", maintain_order=True).agg("row")
        members = grouped["row"].explode().to_numpy()
        group = np.empty(len(listed), dtype=np.int64)
        group[members] = np.repeat(np.arange(grouped.height), grouped["row"].list.len().to_numpy())
        return cls(group, grouped["arms"])

    def lists(self, groups: NDArray[np.int64]) -> list[tuple[int, ...]]:
        """The lists of these groups."""
        return [tuple(arms or ()) for arms in self.distinct.gather(groups).to_list()]

    def masks(self, groups: NDArray[np.int64], arms: int) -> NDArray[np.bool_]:
        """bool[len(groups), arms]: which of the experiment's arms each of these groups allows."""
        masks = np.zeros((len(groups), arms), dtype=bool)
        for row, listed in enumerate(self.lists(groups)):
            masks[row, list(listed) if listed else slice(None)] = True
        return masks

    def allows(self, arm: int) -> NDArray[np.bool_]:
        """bool[n]: whether each row allows this arm."""
        listed = self.distinct.list
        allowed = ((listed.len() == 0) | listed.contains(arm)).fill_null(True).to_numpy()
        allows: NDArray[np.bool_] = allowed[self.group]
        return allows

    def counts(self, arms: int) -> NDArray[np.int64]:
        """int64[n]: how many of the experiment's arms each row allows."""
        listed = self.distinct.list.n_unique().fill_null(0).to_numpy()
        counts: NDArray[np.int64] = np.where(listed == 0, arms, listed)[self.group]
        return counts

    def members(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Each group that has rows, with their positions in order; one sort, however many groups there are."""
        order = np.argsort(self.group, kind="stable")
        starts = np.flatnonzero(np.diff(self.group[order], prepend=-1))
        for members in np.split(order, starts[1:]) if len(order) else ():
            yield int(self.group[members[0]]), members

    @property
    def all_allowed(self) -> bool:
        """Whether every arm was eligible in every row."""
        return not (self.distinct.list.len() > 0).any()
