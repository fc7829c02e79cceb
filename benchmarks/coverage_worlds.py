"""Worlds with a known truth, drawn for many replications at once, to count how often intervals err.

Users are drawn from types with different rates, and their rows share them. What estimators need of a log are sums over
users of what happened to their rows, so a user is two counts for each side: rows in which the policy's (or the
baseline's) arm was logged, and their rewards of 0 or 1. If every user has one row, users with the same counts are
counted, which makes a log of any size as cheap as a small one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from off_policy.numeric_arrays import BoolArray, FloatArray

SPREAD = (0.2, 0.6, 1.0, 2.2)
"""Rates of the types of users, relative to their mean; the types are equally frequent."""
HALF = 0.25
"""Propensity of both policies' arms where propensities are even."""
RARE = 0.05
"""Propensity of the policy's arm for half of the users where propensities are uneven."""


@dataclass(frozen=True, slots=True)
class CoverageWorld:
    """One cell of the study.

    rate        mean reward of the baseline, in (0, 1)
    ess         expected effective sample size of the policy's matched rows
    weights     "even"; "uneven": the policy's arm is rare for half of the users; "shared": half of the users get the
                baseline's arm from the policy, too
    per_user    rows of each user
    factor      what the policy's arm makes of the rate
    types       rates of the types of users, relative to their mean
    """

    rate: float
    ess: int
    weights: str = "even"
    per_user: int = 1
    factor: float = 1.2
    types: tuple[float, ...] = SPREAD

    @property
    def users(self) -> int:
        """So many that the effective sample size is expected."""
        rows_per_effective = (1 / HALF + 1 / RARE) / 2 if self.weights == "uneven" else 1 / HALF
        return max(2, round(self.ess * rows_per_effective / self.per_user))

    @property
    def rows(self) -> int:
        """n, the rows of one log."""
        return self.users * self.per_user

    @property
    def groups(self) -> tuple[tuple[float, bool, bool], ...]:
        """(relative rate, rare, shared) of the equally frequent groups of users."""
        halves = (False, True)
        return tuple(
            (each, self.weights == "uneven" and half, self.weights == "shared" and half)
            for each in self.types
            for half in halves
        )

    @property
    def values(self) -> tuple[float, float]:
        """The true values of the policy and of the baseline."""
        base = self.rate * float(np.mean(self.types))
        factors = [1.0 if shared else self.factor for _, _, shared in self.groups]
        rates = [each for each, _, _ in self.groups]
        return self.rate * float(np.mean(np.multiply(rates, factors))), base

    def chances(self, group: tuple[float, bool, bool]) -> list[float]:
        """Of one row: policy's arm with and without a reward, baseline's arm with and without, any other arm."""
        relative, rare, shared = group
        ours = 0.0 if shared else RARE if rare else HALF
        rate = self.rate * relative
        return [
            ours * rate * self.factor,
            ours * (1.0 - rate * self.factor),
            HALF * rate,
            HALF * (1.0 - rate),
            1.0 - ours - HALF,
        ]


@dataclass(frozen=True, slots=True, eq=False)
class UserCounts:
    """R replications of a world, in C columns of users: float[R, C], or float[1, C] if equal in all of them.

    `times` is how many users a column stands for. `rows` and `hits` are those of the policy's own arm; `base_rows` and
    `base_hits` those of the baseline's arm, which where `shared` is also the policy's. `rate` is what a reward of the
    baseline's arm has as its chance.
    """

    world: CoverageWorld
    times: FloatArray
    rows: FloatArray
    hits: FloatArray
    base_rows: FloatArray
    base_hits: FloatArray
    rate: FloatArray
    rare: BoolArray
    shared: BoolArray
    rate_elsewhere: FloatArray


def draw_users(world: CoverageWorld, replications: int, rng: np.random.Generator) -> UserCounts:
    """Independent logs of the world."""
    if world.per_user == 1:
        return _counted(world, replications, rng)
    groups = world.groups
    member = rng.integers(len(groups), size=(replications, world.users))
    counts = np.zeros((4, *member.shape))
    for number, group in enumerate(groups):
        places = np.nonzero(member == number)
        drawn = rng.multinomial(world.per_user, world.chances(group), size=len(places[0]))
        for place, columns in enumerate(((0, 1), (0,), (2, 3), (2,))):
            counts[place][places] = drawn[:, columns].sum(axis=1)
    of_group = np.array(groups)[member]
    return _users(world, np.ones((1, 1)), counts, of_group, rng)


def _counted(world: CoverageWorld, replications: int, rng: np.random.Generator) -> UserCounts:
    kinds = ((1, 1, 0, 0), (1, 0, 0, 0), (0, 0, 1, 1), (0, 0, 1, 0), (0, 0, 0, 0))
    groups = world.groups
    chances = np.concatenate([world.chances(group) for group in groups]) / len(groups)
    times = rng.multinomial(world.users, chances / chances.sum(), size=replications).astype(np.float64)
    counts = np.array([kind for _ in groups for kind in kinds], dtype=np.float64).T[:, None, :]
    of_group = np.array([group for group in groups for _ in kinds])[None]
    return _users(world, times, counts, of_group, rng)


def _users(
    world: CoverageWorld, times: FloatArray, counts: FloatArray, of_group: FloatArray, rng: np.random.Generator
) -> UserCounts:
    rows, hits, base_rows, base_hits = counts
    rate = world.rate * of_group[..., 0]
    others = times * (world.per_user - rows - base_rows)
    unmatched = others.sum(axis=1)
    chance = (others * rate).sum(axis=1) / np.maximum(unmatched, 1.0)
    seen = rng.binomial(unmatched.astype(np.int64), np.minimum(chance, 1.0)) / np.maximum(unmatched, 1.0)
    rare, shared = of_group[..., 1] > 0.0, of_group[..., 2] > 0.0
    return UserCounts(world, times, rows, hits, base_rows, base_hits, rate, rare, shared, seen)
