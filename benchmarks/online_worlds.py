"""Online experiments with known truth, many runs of each at a time: users who come back, day after day.

A user has a chance to come on a day, a usual number of requests (1 to 20), and a taste that multiplies all reward
rates; all three stay for the whole run. So a user's days are alike, and users differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from off_policy.confidence_sequence import ArmMean
from off_policy.numeric_arrays import FloatArray, IntArray

ARMS = 2
MOST_REQUESTS = 20
OUTCOMES = ("objective", "second", "active_day")
"""Two objectives per request, and a guardrail per user-day: was any request of the day rewarded by `objective`?"""


@dataclass(frozen=True, slots=True)
class OnlineWorld:
    """One experiment: `rate` is the mean reward of `objective`, and a third of it that of `second`.

    users     in each arm
    lift      true lifts of the arm over the control, by objective; the guardrail's follows
    arriving  whether users come for the first time on a day of their own in the first 60, and not all on the first day
    spread    shape of the gamma distribution of tastes: 1 lets users differ a lot, 1e9 not at all
    """

    rate: float
    users: int = 400
    lift: tuple[float, float] = (0.0, 0.0)
    arriving: bool = False
    spread: float = 1.0

    @property
    def requests_a_day(self) -> float:
        """Requests of one arm on a day on which all users are there, on average."""
        return self.users * 0.4 * 6.0


@dataclass(slots=True)
class _Sums:
    """Σ y and Σ 1 of one outcome by run, arm and user; and how many users have a positive outcome, in effect."""

    total: FloatArray
    weight: FloatArray

    def add(self, there: IntArray, total: NDArray[Any], weight: NDArray[Any]) -> None:
        """Add a day of the users at the places `there` of the flattened arrays."""
        self.total.reshape(-1)[there] += total
        self.weight.reshape(-1)[there] += weight

    def means(self) -> tuple[ArmMean, ArmMean, FloatArray]:
        """The arm, the control, and the fewest effective users with a positive outcome in either: [runs]."""
        n, d = self.total.sum(axis=2), self.weight.sum(axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = n / d
            seen = (self.weight > 0).sum(axis=2)
            square = np.einsum("abc,abc->ab", self.total, self.total)
            cross = np.einsum("abc,abc->ab", self.total, self.weight)
            squared_weight = np.einsum("abc,abc->ab", self.weight, self.weight)
            centred = square - 2.0 * mean * cross + mean**2 * squared_weight
            variance = centred / d**2 * seen / (seen - 1.0)
            users, positive = d**2 / squared_weight, n**2 / square
        arm, control = (ArmMean(mean[:, each], variance[:, each], users[:, each]) for each in (1, 0))
        return arm, control, np.nan_to_num(positive).min(axis=1)


def daily_looks(
    world: OnlineWorld, runs: int, days: int, rng: np.random.Generator
) -> Iterator[dict[str, tuple[ArmMean, ArmMean, FloatArray]]]:
    """Each day: for every outcome what `_Sums.means` says of all requests so far, in `runs` runs."""
    shape = (runs, ARMS, world.users)
    comes, usual = rng.beta(1.2, 1.8, size=shape), rng.gamma(1.0, 5.0, size=shape)
    taste = rng.gamma(world.spread, 1.0 / world.spread, size=shape)
    first = rng.integers(0, 60, size=shape) if world.arriving else np.zeros(shape, dtype=np.int64)
    lifts = [np.array([1.0, 1.0 + each])[None, :, None] for each in world.lift]
    rates = [
        np.minimum(base * taste * lift, 1.0) for base, lift in zip((world.rate, world.rate / 3), lifts, strict=True)
    ]
    sums = {name: _Sums(np.zeros(shape), np.zeros(shape)) for name in OUTCOMES}
    for day in range(days):
        there = np.flatnonzero((rng.random(shape, dtype=np.float32) < comes) & (first <= day))
        requests = np.minimum(1 + rng.poisson(usual.flat[there]), MOST_REQUESTS)
        hits = [rng.binomial(requests, rate.flat[there]) for rate in rates]
        sums["objective"].add(there, hits[0], requests)
        sums["second"].add(there, hits[1], requests)
        sums["active_day"].add(there, hits[0] > 0, np.ones(len(there)))
        yield {name: each.means() for name, each in sums.items()}
