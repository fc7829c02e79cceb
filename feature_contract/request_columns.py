"""Many requests as columns: what the learner reads from files, without a record for each request.

Lists lie one after the other in one array, with the length of each; texts are numbers into a list of the distinct ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = -1
"""The number of a text that is missing."""


@dataclass(frozen=True, eq=False)
class Texts:
    """Texts by number: `codes` int64[m] are places in `names`, or ABSENT."""

    codes: NDArray[np.int64]
    names: tuple[str, ...]

    def equal(self, text: str) -> NDArray[np.bool_]:
        """bool[m]: which texts are this one."""
        if text not in self.names:
            return np.zeros(len(self.codes), dtype=bool)
        found: NDArray[np.bool_] = self.codes == self.names.index(text)
        return found

    def looked_up(self, value: Callable[[str], float], absent: float, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64[k]: `value` of the texts at `rows`, called once for each distinct text among them."""
        codes, table = self.codes[rows], np.full(len(self.names) + 1, absent)  # the last place is that of ABSENT
        used = np.zeros(len(table), dtype=bool)
        used[codes] = True
        for code in np.flatnonzero(used[:-1]).tolist():
            table[code] = value(self.names[code])
        found: NDArray[np.float64] = table[codes]
        return found


@dataclass(frozen=True, eq=False)
class Lists:
    """Where the entries of n lists lie that follow each other: `lengths` int64[n]."""

    lengths: NDArray[np.int64]

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """int64[n]: the place of each list's first entry."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def owners(self) -> NDArray[np.int64]:
        """int64[m]: the list that each entry belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of any length, one for each list: `values` [m] one after the other."""

    values: NDArray[Any]
    lists: Lists

    def of_width(self, width: int, rows: NDArray[np.int64]) -> NDArray[Any]:
        """[k, width]: the vectors at `rows`, which must all have this width."""
        found: NDArray[Any] = self.values[self.lists.starts[rows][:, None] + np.arange(width)]
        return found


@dataclass(frozen=True, eq=False)
class History:
    """Past actions of all requests: `time` int64[m] in epoch ms, what was done, and the item's embedding."""

    lists: Lists
    time: NDArray[np.int64]
    action_type: Texts
    embedding: Vectors


@dataclass(frozen=True, eq=False)
class EarlierWeights:
    """Earlier decisions of all requests: `time` int64[m] in epoch ms, and the weights that were served."""

    lists: Lists
    time: NDArray[np.int64]
    weights: Vectors


@dataclass(frozen=True, eq=False)
class RequestColumns:
    """n requests with the fields that features are made of; `event_time` int64[n] in epoch ms.

    The context of a request is a list of names with their values.
    """

    event_time: NDArray[np.int64]
    user_embedding: Vectors
    context: Lists
    context_names: Texts
    context_values: Texts
    history: History
    previous: EarlierWeights

    @property
    def rows(self) -> int:
        """The number of requests, n."""
        return len(self.event_time)
