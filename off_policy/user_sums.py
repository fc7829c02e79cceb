"""Outcomes of an online experiment, summed by user: all that the comparison of its arms needs to know of its log.

The sums of two parts of a log add up, so a log is read part by part and need not fit in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from off_policy.logged_bandit import EvaluationError, require_shape, whole_numbers
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray

IN_NONE = -1
"""In place of a unit's number: the row is in no unit. In place of an arm's: the user is in several arms."""


@dataclass(frozen=True, slots=True, eq=False)
class CountedRows:
    """One outcome in m logged decisions, or in m counting units of several decisions.

    user      int[m] from 0  whose it is: the cluster
    weight    float[m] > 0   w = 1 / sampling rate of its log coin
    count     float[m]       what was counted, before clipping; ignored where not observed
    observed  bool[m]        False where the count is unknown: it is left out, never counted as zero

    A count below zero or not finite counts as not observed. Raises EvaluationError if a shape or a value is wrong.
    """

    user: IntArray
    weight: FloatArray
    count: FloatArray
    observed: BoolArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "user", whole_numbers(self.user, "user"))
        object.__setattr__(self, "weight", np.asarray(self.weight, dtype=np.float64))
        object.__setattr__(self, "count", np.asarray(self.count, dtype=np.float64))
        object.__setattr__(self, "observed", np.asarray(self.observed, dtype=np.bool_))
        for name in ("weight", "count", "observed"):
            require_shape(name, getattr(self, name), (len(self.user),))
        _require_sound(self.user, self.weight)

    def by_unit(self, unit: IntArray) -> Self:
        """One row for each counting unit: `unit` int[m] numbers them; rows with IN_NONE are in none.

        A unit counts once: its count is the sum, and it is observed if all its rows are. All rows of a unit share one
        log coin and rate, and so have one weight; of different ones the largest is taken. The rows of two users are two
        units, whatever their number.
        """
        require_shape("unit", unit, (len(self.user),))
        kept = np.flatnonzero(unit >= 0)
        if not len(kept):
            return type(self)(self.user[:0], self.weight[:0], self.count[:0], self.observed[:0])
        users = int(self.user.max()) + 1
        keys, place = np.unique(unit[kept] * users + self.user[kept], return_inverse=True)
        weight = np.zeros(len(keys))
        np.maximum.at(weight, place, self.weight[kept])
        known = self.observed[kept]
        count = _sums(place, np.where(known, self.count[kept], 0.0), len(keys))
        observed = np.bincount(place[~known], minlength=len(keys)) == 0
        return type(self)(keys % users, weight, count, observed)


@dataclass(frozen=True, slots=True, eq=False)
class UserSums:
    """One outcome summed over the observed units of each of U users; y = min(count, clip), w = 1 / sampling rate.

    total      float[U]  Σ w y
    weight     float[U]  Σ w
    units      int[U]    observed units
    positives  int[U]    observed units with y > 0
    """

    total: FloatArray
    weight: FloatArray
    units: IntArray
    positives: IntArray

    @classmethod
    def of(cls, rows: CountedRows, clip: float, users: int) -> Self:
        """The sums of rows, each of which is a unit; their users have numbers below `users`."""
        sound = rows.observed & np.isfinite(rows.count) & (rows.count >= 0.0)
        user, weight = rows.user[sound], rows.weight[sound]
        outcome = np.minimum(rows.count[sound], clip)
        return cls(
            _sums(user, weight * outcome, users),
            _sums(user, weight, users),
            np.bincount(user, minlength=users),
            np.bincount(user[outcome > 0.0], minlength=users),
        )

    def plus(self, other: Self) -> Self:
        """The sums of both parts of a log; the one with fewer users does not know the last ones."""
        users = max(len(self.total), len(other.total))
        return type(self)(
            _longer(self.total, users) + _longer(other.total, users),
            _longer(self.weight, users) + _longer(other.weight, users),
            _more(self.units, users) + _more(other.units, users),
            _more(self.positives, users) + _more(other.positives, users),
        )


@dataclass(frozen=True, slots=True, eq=False)
class ArmUsers:
    """The U users of an experiment, whatever was observed of their decisions.

    arm       int[U]    the user's arm, or IN_NONE if rows of the user are in several
    rows      int[U]    logged decisions
    requests  float[U]  Σ 1 / sampling rate: the requests that they stand for
    """

    arm: IntArray
    rows: IntArray
    requests: FloatArray

    @classmethod
    def of(cls, arm: IntArray, user: IntArray, weight: FloatArray, users: int) -> Self:
        """Of logged decisions: arm int[n] from 0, user int[n] in 0..`users` - 1, weight float[n] > 0.

        Raises EvaluationError if a shape or a value is wrong.
        """
        for name, values in (("user", user), ("weight", weight)):
            require_shape(name, values, (len(arm),))
        _require_sound(user, weight)
        lowest, highest = np.full(users, np.iinfo(np.int64).max), np.full(users, IN_NONE)
        np.minimum.at(lowest, user, arm)
        np.maximum.at(highest, user, arm)
        return cls(
            np.where(lowest == highest, highest, IN_NONE),
            np.bincount(user, minlength=users),
            _sums(user, weight, users),
        )

    def plus(self, other: Self) -> Self:
        """The users of both parts of a log."""
        users = max(len(self.arm), len(other.arm))
        mine, theirs = _more(self.rows, users), _more(other.rows, users)
        arms = _more(self.arm, users), _more(other.arm, users)
        agreed = np.where(arms[0] == arms[1], arms[0], IN_NONE)
        return type(self)(
            np.where(mine == 0, arms[1], np.where(theirs == 0, arms[0], agreed)),
            mine + theirs,
            _longer(self.requests, users) + _longer(other.requests, users),
        )


def _require_sound(user: IntArray, weight: FloatArray) -> None:
    if len(user) and int(user.min()) < 0:
        raise EvaluationError(
            "a row has a negative user", fix="number the users from 0, and leave out rows without a user"
        )
    if not bool(np.all((weight > 0.0) & np.isfinite(weight))):
        raise EvaluationError("a row has a weight that is not positive and finite", fix="give 1 / sampling rate")


def _sums(place: IntArray, values: FloatArray, length: int) -> FloatArray:
    """float[length]: the values of each place, summed."""
    return np.bincount(place, weights=values, minlength=length).astype(np.float64)


def _longer(values: FloatArray, length: int) -> FloatArray:
    return np.pad(values, (0, length - len(values)))


def _more(values: IntArray, length: int) -> IntArray:
    return np.pad(values, (0, length - len(values)))
