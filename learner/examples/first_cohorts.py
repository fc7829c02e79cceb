"""The cohort of each user's first request, over rows that come in parts and in any order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from off_policy.numeric_arrays import IntArray

NO_COHORT = -1
"""In place of a cohort's number: the first request names none, or one that is not declared."""
LAST_TIME = np.iinfo(np.int64).max


class FirstCohorts:
    """Finds, for users that are numbered from 0, which of the cohorts `names` the first of their requests names.

    `number` int64[users] is the place of the cohort in `names`, or NO_COHORT. Of requests at the same time the one that
    was added first counts.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.number: IntArray = np.zeros(0, dtype=np.int64)
        self._time: IntArray = np.zeros(0, dtype=np.int64)

    def add(self, user: IntArray, time: IntArray, cohort: pl.Series, users: int) -> None:
        """Add rows: user int64[n] below `users`, time int64[n] in epoch ms, cohort string[n] with nulls."""
        more = users - len(self.number)
        self.number = np.pad(self.number, (0, more), constant_values=NO_COHORT)
        self._time = np.pad(self._time, (0, more), constant_values=LAST_TIME)
        places = {name: place for place, name in enumerate(self.names)}
        number = cohort.replace_strict(places, default=NO_COHORT, return_dtype=pl.Int64).fill_null(NO_COHORT).to_numpy()
        order = np.argsort(time, kind="stable")
        first_users, at = np.unique(user[order], return_index=True)
        rows = order[at]
        earlier = time[rows] < self._time[first_users]
        self.number[first_users[earlier]] = number[rows[earlier]]
        self._time[first_users[earlier]] = time[rows[earlier]]
