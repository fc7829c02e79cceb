"""Worlds with a known truth, drawn for many replications at once, to count how often intervals err.

Users are drawn from types with different rates, and their rows share them. A row has a reward by the user's rate, and
the reward has a size, which is 1, a count or a rating. What estimators need of a log are sums over users of what
happened to their rows, so a user is three numbers for each side: rows in which the policy's (or the baseline's) arm was
logged, and the sums of their rewards and of their squares. If every user has one row, users with the same numbers are
counted, which makes a log of any size as cheap as a small one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from off_policy.numeric_arrays import BoolArray, FloatArray

SPREAD = (0.2, 0.6, 1.0, 2.2)
"""Rates of the types of users, relative to their mean; the types are equally frequent."""
HALF = 0.25
"""Propensity of both policies' arms where propensities are even."""
RARE = 0.05
"""Propensity of the policy's arm for half of the users where propensities are uneven."""
BINARY, COUNTS, RATINGS = "binary", "counts", "ratings"
SIZES_OF: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    BINARY: ((1.0,), (1.0,)),
    COUNTS: ((1.0, 2.0, 3.0, 4.0, 5.0), (0.5, 0.25, 0.125, 0.0625, 0.0625)),
    RATINGS: ((0.5, 2.0, 3.0, 4.0, 5.0), (0.05, 0.1, 0.25, 0.35, 0.25)),
}
"""Kind of reward -> the sizes of a reward that is not 0, and how frequent they are. Counts are geometric and clipped at
5."""


@dataclass(frozen=True, slots=True)
class CoverageWorld:
    """One cell of the study.

    rate        share of rows with a reward under the baseline, in (0, 1)
    ess         expected effective sample size of the policy's matched rows
    weights     "even"; "uneven": the policy's arm is rare for half of the users; "shared": half of the users get the
                baseline's arm from the policy, too
    per_user    rows of each user
    factor      what the policy's arm makes of the rate
    types       rates of the types of users, relative to their mean
    rewards     kind of reward: "binary", "counts" or "ratings"
    """

    rate: float
    ess: int
    weights: str = "even"
    per_user: int = 1
    factor: float = 1.2
    types: tuple[float, ...] = SPREAD
    rewards: str = BINARY

    @property
    def sizes(self) -> tuple[FloatArray, FloatArray]:
        """(sizes of rewards that are not 0, their frequencies), float[S] each."""
        sizes, frequencies = SIZES_OF[self.rewards]
        return np.array(sizes), np.array(frequencies)

    @property
    def mean_size(self) -> float:
        """The mean of rewards that are not 0."""
        sizes, frequencies = self.sizes
        return float(sizes @ frequencies)

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
        rate = self.rate * self.mean_size
        base = rate * float(np.mean(self.types))
        factors = [1.0 if shared else self.factor for _, _, shared in self.groups]
        rates = [each for each, _, _ in self.groups]
        return rate * float(np.mean(np.multiply(rates, factors))), base

    def chances(self, group: tuple[float, bool, bool]) -> list[float]:
        """Of one row: the policy's arm with a reward of each size and without one, the baseline's arm likewise, any
        other arm."""
        relative, rare, shared = group
        ours, frequencies = 0.0 if shared else RARE if rare else HALF, self.sizes[1].tolist()
        rate = self.rate * relative
        return [
            *(ours * rate * self.factor * each for each in frequencies),
            ours * (1.0 - rate * self.factor),
            *(HALF * rate * each for each in frequencies),
            HALF * (1.0 - rate),
            1.0 - ours - HALF,
        ]


@dataclass(frozen=True, slots=True, eq=False)
class UserCounts:
    """R replications of a world, in C columns of users: float[R, C], or float[1, C] if equal in all of them.

    `times` is how many users a column stands for. `rows`, `rewards` and `squares` (sums of rewards and of their
    squares) are those of the policy's own arm; `base_rows`, `base_rewards` and `base_squares` those of the baseline's
    arm, which where `shared` is also the policy's. `rate` is the chance of a reward of the baseline's arm.
    `rate_elsewhere`, `rewards_elsewhere` and `squares_elsewhere` float[R] are of the rows with any other arm.
    """

    world: CoverageWorld
    times: FloatArray
    rows: FloatArray
    rewards: FloatArray
    squares: FloatArray
    base_rows: FloatArray
    base_rewards: FloatArray
    base_squares: FloatArray
    rate: FloatArray
    rare: BoolArray
    shared: BoolArray
    rate_elsewhere: FloatArray
    rewards_elsewhere: FloatArray
    squares_elsewhere: FloatArray


def draw_users(world: CoverageWorld, replications: int, rng: np.random.Generator) -> UserCounts:
    """Independent logs of the world."""
    if world.per_user == 1:
        return _counted(world, replications, rng)
    groups, totals = world.groups, _totals(world)
    member = rng.integers(len(groups), size=(replications, world.users))
    counts = np.zeros((len(totals), *member.shape))
    for number, group in enumerate(groups):
        places = np.nonzero(member == number)
        drawn = rng.multinomial(world.per_user, world.chances(group), size=len(places[0]))
        for place, total in enumerate(totals):
            counts[place][places] = drawn @ total
    of_group = np.array(groups)[member]
    return _users(world, np.ones((1, 1)), counts, of_group, rng)


def _totals(world: CoverageWorld) -> FloatArray:
    """float[6, K]: what a row of each of the K kinds of `CoverageWorld.chances` adds to the numbers of its user."""
    sizes, none = world.sizes[0], np.zeros(len(world.sizes[0]) + 1)
    side = np.array([np.ones(len(sizes) + 1), [*sizes, 0.0], [*np.square(sizes), 0.0]])
    empty = np.broadcast_to(none, side.shape)
    last = np.zeros((len(side), 1))
    return np.vstack([np.hstack([side, empty, last]), np.hstack([empty, side, last])])


def _counted(world: CoverageWorld, replications: int, rng: np.random.Generator) -> UserCounts:
    groups, totals = world.groups, _totals(world)
    chances = np.concatenate([world.chances(group) for group in groups]) / len(groups)
    times = rng.multinomial(world.users, chances / chances.sum(), size=replications).astype(np.float64)
    counts = np.tile(totals, len(groups))[:, None, :]
    of_group = np.array([group for group in groups for _ in range(totals.shape[1])])[None]
    return _users(world, times, counts, of_group, rng)


def _users(
    world: CoverageWorld, times: FloatArray, counts: FloatArray, of_group: FloatArray, rng: np.random.Generator
) -> UserCounts:
    rows, rewards, squares, base_rows, base_rewards, base_squares = counts
    rate, (sizes, frequencies) = world.rate * of_group[..., 0], world.sizes
    others = times * (world.per_user - rows - base_rows)
    unmatched = others.sum(axis=1)
    chance = (others * rate).sum(axis=1) / np.maximum(unmatched, 1.0)
    positive = rng.binomial(unmatched.astype(np.int64), np.minimum(chance, 1.0))
    of_size = np.asarray(positive[:, None] if len(sizes) == 1 else rng.multinomial(positive, frequencies), np.float64)
    rare, shared = of_group[..., 1] > 0.0, of_group[..., 2] > 0.0
    return UserCounts(
        world,
        times,
        rows,
        rewards,
        squares,
        base_rows,
        base_rewards,
        base_squares,
        rate,
        rare,
        shared,
        rate_elsewhere=positive / np.maximum(unmatched, 1.0),
        rewards_elsewhere=of_size @ sizes,
        squares_elsewhere=of_size @ np.square(sizes),
    )
