"""What each user has done: the days of visits and saves that cohorts follow from, and the last engagements.

The 28-day rule (PRL-PUTS, section on cohorts): CORE saved on at least 4 of the last 28 days, CASUAL was active on at
least 4 of them, REST is everyone else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from event_schemas.units import DAY_MS
from simulator.worlds.members import WARM_UP_DAYS

COHORTS = ("CORE", "CASUAL", "REST")
LEAST_DAYS = 4
HISTORY_LENGTH = 5
SAVE = 0
NOBODY = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class PastEngagements:
    """Engagements of users in any order, as arrays.

    `user` is an index, `time` is in epoch ms, `kind` an index into KINDS, `item` is set · candidates + place.
    """

    user: NDArray[np.int64]
    time: NDArray[np.int64]
    kind: NDArray[np.int64]
    item: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Those at these positions."""
        return type(self)(self.user[rows], self.time[rows], self.kind[rows], self.item[rows])

    def with_more(self, other: Self) -> Self:
        """These, and then the others."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("user", "time", "kind", "item"))
        return type(self)(*(np.concatenate(pair) for pair in pairs))


NO_ENGAGEMENTS = PastEngagements(NOBODY, NOBODY, NOBODY, NOBODY)


class UserLog:
    """The log of all users, from 28 days before the day that starts at `start_ms`.

    Usage: `visit` and `engage` in order of time, then `cohorts` and `history` show what was known.
    """

    def __init__(self, users: int, start_ms: int, days: int) -> None:
        self._first_ms = start_ms - WARM_UP_DAYS * DAY_MS
        self._active = np.zeros((users, WARM_UP_DAYS + days), dtype=bool)
        self._saved = np.zeros((users, WARM_UP_DAYS + days), dtype=bool)
        self._last = {name: np.zeros((users, HISTORY_LENGTH), dtype=np.int64) for name in ("item", "kind", "time")}
        self._count = np.zeros(users, dtype=np.int64)

    def visit(self, user: NDArray[np.int64], time: NDArray[np.int64]) -> None:
        """Notes the days on which users were active."""
        self._active[user, self._day(time)] = True

    def engage(self, done: PastEngagements) -> None:
        """Notes engagements; none of them is older than those noted before."""
        saves = done.kind == SAVE
        self._saved[done.user[saves], self._day(done.time[saves])] = True
        order = np.lexsort((done.item, done.kind, done.time, done.user))
        user = done.user[order]
        turn = np.arange(len(user)) - np.searchsorted(user, user)
        for place in range(int(turn.max(initial=-1)) + 1):
            rows = order[turn == place]
            who = done.user[rows]
            for name, column in self._last.items():
                column[who, :-1] = column[who, 1:]
                column[who, -1] = getattr(done, name)[rows]
            self._count[who] += 1

    def cohorts(self, time: int) -> NDArray[np.int64]:
        """The cohort of every user on the day of `time` (epoch ms), by the 28 days before it: an index into COHORTS."""
        today = int(self._day(np.array(time)))
        days = slice(max(today - WARM_UP_DAYS, 0), today)
        saved, active = (days_of[:, days].sum(axis=1) for days_of in (self._saved, self._active))
        return np.where(saved >= LEAST_DAYS, 0, np.where(active >= LEAST_DAYS, 1, 2)).astype(np.int64)

    def history(self, user: NDArray[np.int64]) -> tuple[PastEngagements, NDArray[np.int64]]:
        """The last engagements of users, [n, 5] in each field, oldest first and at the end; and how many are real."""
        item, kind, time = (self._last[name][user] for name in ("item", "kind", "time"))
        owner = np.broadcast_to(user[:, None], item.shape)
        return PastEngagements(owner, time, kind, item), np.minimum(self._count[user], HISTORY_LENGTH)

    def _day(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        """The column of a time; what happens after the last day counts for the last day."""
        day = np.minimum((time - self._first_ms) // DAY_MS, self._active.shape[1] - 1)
        return np.asarray(day, dtype=np.int64)
