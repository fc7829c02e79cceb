"""Online experiments with a known truth: users of 1 to 50 requests, in sessions and days, with moods of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from off_policy.arm_comparison import ArmDesign, ArmSums, compare_arms
from off_policy.arm_results import ArmComparison, OutcomeLabel
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray
from off_policy.user_sums import ArmUsers, CountedRows, UserSums

MOST_ROWS = 50
LENGTHS = {"request": 1, "session": 4, "user-day": 10}
"""The most requests of a counting unit: a user's requests are cut into pieces of this length."""
CLIPS = {"request": 1.0, "session": 1.0, "user-day": 3.0}
RATES = {"control": 0.08, "more": 0.1}
"""P(positive) of a request by arm, for a user with few requests and no mood."""
MOODS = (0.5, 1.5)
ROWS = np.arange(1, MOST_ROWS + 1)
SHARE_OF_ROWS = (1 / ROWS) / (1 / ROWS).sum()


@dataclass(frozen=True, eq=False)
class ArmLog:
    """n logged requests: arm[n], user[n], weight[n], count[n] of 0 or 1, and the unit[n] of each kind of unit."""

    arm: IntArray
    user: IntArray
    weight: FloatArray
    count: FloatArray
    units: dict[str, IntArray]
    users: int

    def take(self, rows: BoolArray) -> ArmLog:
        """These rows, with the same users."""
        units = {per: unit[rows] for per, unit in self.units.items()}
        return ArmLog(self.arm[rows], self.user[rows], self.weight[rows], self.count[rows], units, self.users)


def probability(rows: IntArray, mood: FloatArray, rate: float | FloatArray) -> FloatArray:
    """P(positive) of each request of a user with so many: the more active are more pleased."""
    return np.asarray(rate * mood * (1.0 + rows / MOST_ROWS))


def true_mean(arm: str, per: str) -> float:
    """E[Σ outcomes] / E[units] over users: the mean that an experiment estimates."""
    total = units = 0.0
    for rows, share in zip(ROWS.tolist(), SHARE_OF_ROWS.tolist(), strict=True):
        sizes = [min(LENGTHS[per], rows - start) for start in range(0, rows, LENGTHS[per])]
        units += share * len(sizes)
        for mood in MOODS:
            p = float(probability(np.array(rows), np.array(mood), RATES[arm]))
            total += share / len(MOODS) * sum(_clipped_binomial(size, p, CLIPS[per]) for size in sizes)
    return total / units


def _clipped_binomial(n: int, p: float, clip: float) -> float:
    """E[min(Binomial(n, p), clip)]."""
    chances = np.ones(1)
    for _ in range(n):
        chances = np.convolve(chances, [1 - p, p])
    return float((chances * np.minimum(np.arange(n + 1), clip)).sum())


def draw_log(users: int, log_unit: str, rate: float, rng: np.random.Generator) -> ArmLog:
    """The log of `users` users in two arms of equal shares; the log has a coin for each `log_unit`.

    The weight is 1 / rate throughout.
    """
    rows = rng.choice(ROWS, size=users, p=SHARE_OF_ROWS)
    arms = rng.integers(2, size=users)
    chance = probability(rows, rng.choice(MOODS, size=users), np.array(list(RATES.values()))[arms])
    user = np.repeat(np.arange(users), rows)
    place = np.arange(len(user)) - np.repeat(np.cumsum(rows) - rows, rows)
    units = {per: user * MOST_ROWS + place // length for per, length in LENGTHS.items()}
    count = (rng.random(len(user)) < chance[user]).astype(np.float64)
    log = ArmLog(arms[user], user, np.full(len(user), 1.0 / rate), count, units, users)
    drawn = user if log_unit == "user" else units[log_unit]
    return log.take(rng.random(users * MOST_ROWS)[drawn] < rate)


def sums_of(log: ArmLog, per: str, name: str | None = None) -> ArmSums:
    """The outcome counted per such units."""
    observed = np.ones(len(log.user), dtype=np.bool_)
    rows = CountedRows(log.user, log.weight, log.count, observed)
    units = rows if per == "request" else rows.by_unit(log.units[per])
    label = OutcomeLabel(name or per, "signal", per, CLIPS[per])
    return ArmSums(label, UserSums.of(units, label.clip, log.users))


def compared(log: ArmLog, *kinds: str, level: float = 0.95) -> ArmComparison:
    """The comparison on one outcome per kind of unit."""
    users = ArmUsers.of(log.arm, log.user, log.weight, log.users)
    design = ArmDesign(dict.fromkeys(RATES, 0.5), "control", level)
    return compare_arms(design, users, [sums_of(log, per) for per in kinds])
