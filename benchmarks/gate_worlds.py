"""Worlds with a known lift, a learner that is retrained every day, and the gate's verdicts over 90 days.

A day's rows of either half are counted by user type and arm, so thousands of runs fit in memory. The learner predicts
by ridge regression on type × arm, with the mean of all rows as its centre, and serves each type the arm with the
highest sum of predictions. All arms but production have the same true lift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.gate_intervals import RelativeLifts, RowKinds, relative_lifts
from off_policy.numeric_arrays import FloatArray, IntArray

TYPES = 4
TRAIN_DAYS = 14
RIDGE = 20.0
AT_ONCE = 50
"""Runs whose days are drawn together."""


@dataclass(frozen=True, slots=True)
class GateWorld:
    """`rows` explored in each half a day; `lifts` of all arms over production, on objectives with these `rates`."""

    name: str
    lifts: tuple[float, float]
    rows: float
    margin: float = 0.01
    rates: tuple[float, float] = (0.1, 0.05)
    arms: int = 50
    production: float = 0.125
    holdout: int = 7

    @property
    def design(self) -> FloatArray:
        """float[arms]: how exploration draws them; arm 0 is production."""
        other = (1.0 - self.production) / (self.arms - 1)
        return np.array([self.production, *[other] * (self.arms - 1)])

    def true_rates(self) -> FloatArray:
        """float[2, types, arms]: types engage more or less often than the mean."""
        level = np.linspace(0.7, 1.3, TYPES)
        better = np.array([[1.0, *[1.0 + lift] * (self.arms - 1)] for lift in self.lifts])
        return np.asarray(np.array(self.rates)[:, None, None] * level[:, None] * better[:, None, :])


@dataclass(slots=True)
class Verdicts:
    """For each run, from 0: the first look that passed, or -1; and whether a pass was wrong, or a look refused.

    A pass is wrong if the policy is truly at or below -margin on some objective.
    """

    first: IntArray
    wrong: IntArray
    refused: IntArray


def run_world(world: GateWorld, looks: Sequence[tuple[int, float]], runs: int, seed: int) -> Verdicts:
    """The verdicts at these looks, (day, share) with days from 1; day 1 is the first of a hold-out."""
    parts = []
    for start in range(0, runs, AT_ONCE):
        rng = np.random.default_rng([seed, start, *world.name.encode()])
        parts.append(_run(world, looks, min(AT_ONCE, runs - start), rng))
    return Verdicts(*(np.concatenate([getattr(part, name) for part in parts]) for name in Verdicts.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Sums over all days before each day: rows[R, days + 1, types, arms] and hits[2, R, days + 1, types, arms]."""

    rows: FloatArray
    hits: FloatArray

    @classmethod
    def drawn(cls, world: GateWorld, runs: int, days: int, rng: np.random.Generator) -> _Counts:
        expected = np.broadcast_to(world.rows / TYPES * world.design, (runs, days, TYPES, world.arms))
        rows = rng.poisson(expected)
        hits = np.stack([rng.binomial(rows, rate) for rate in world.true_rates()])
        return cls(*(np.cumsum(_led(each), axis=-3, dtype=np.float64) for each in (rows, hits)))

    def span(self, start: int, end: int) -> tuple[FloatArray, FloatArray]:
        return self.rows[:, end] - self.rows[:, start], self.hits[:, :, end] - self.hits[:, :, start]


def _led(counts: IntArray) -> IntArray:
    """With a day without rows in front."""
    return np.concatenate([np.zeros_like(counts[..., :1, :, :]), counts], axis=-3)


def _run(world: GateWorld, looks: Sequence[tuple[int, float]], runs: int, rng: np.random.Generator) -> Verdicts:
    days = TRAIN_DAYS + looks[-1][0]
    judging, selecting = (_Counts.drawn(world, runs, days, rng) for _ in range(2))
    found = Verdicts(np.full(runs, -1), np.zeros(runs, dtype=int), np.zeros(runs, dtype=int))
    for number, (day, share) in enumerate(looks):
        end, start = TRAIN_DAYS + day, TRAIN_DAYS + day - world.holdout
        seen = [half.span(start - TRAIN_DAYS, start) for half in (judging, selecting)]
        learnt = seen[0][0] + seen[1][0], seen[0][1] + seen[1][1]
        q = predictions(learnt[0], learnt[1])
        chosen = q.sum(axis=0).argmax(axis=-1)
        lifts = [_lifts(world, judging.span(start, end), q, chosen, objective, share) for objective in range(2)]
        sound = lifts[0].answered & lifts[1].answered
        harmed = sound & ((lifts[0].upper < 0.0) | (lifts[1].upper < 0.0))
        passed = sound & ~harmed & (lifts[0].lower > -world.margin) & (lifts[1].lower > -world.margin)
        found.first[passed & (found.first < 0)] = number
        found.wrong |= passed & ~_truly_harmless(world, chosen)
        found.refused |= harmed
    return found


def predictions(rows: FloatArray, hits: FloatArray) -> FloatArray:
    """float[2, R, types, arms] from rows[R, types, arms] and hits[2, R, types, arms]: ridge around the mean of all."""
    centre = hits.sum(axis=(-1, -2)) / rows.sum(axis=(-1, -2))
    return np.asarray((hits + RIDGE * centre[..., None, None]) / (rows + RIDGE))


def _truly_harmless(world: GateWorld, chosen: IntArray) -> IntArray:
    """bool[R]: whether the policy is truly above -margin on both objectives."""
    level = np.linspace(0.7, 1.3, TYPES)
    apart = ((chosen > 0) * level).sum(axis=1) / level.sum()
    return np.asarray(np.min([lift * apart for lift in world.lifts], axis=0) > -world.margin + 1e-12)


def _lifts(
    world: GateWorld,
    span: tuple[FloatArray, FloatArray],
    q: FloatArray,
    chosen: IntArray,
    objective: int,
    share: float,
) -> RelativeLifts:
    """Of the policy that serves `chosen`[R, types]; each type has rows of its arm, of production, and others."""
    rows, hits = span[0], span[1][objective]
    values, inverse = q[objective], 1.0 / world.design
    place = chosen[..., None]
    q_ours, q_base = np.take_along_axis(values, place, axis=-1)[..., 0], values[..., 0]
    own = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(own, place, True, axis=-1)
    ours, base = own * inverse, np.zeros_like(rows)
    base[..., 0] = inverse[0]

    def kinds(cells: FloatArray) -> FloatArray:
        return np.broadcast_to(cells, rows.shape).reshape(len(rows), -1)

    shared = [kinds(each) for each in (ours, base, values, q_ours[..., None], q_base[..., None])]
    both = [np.concatenate([each, each], axis=1) for each in shared]
    count = np.concatenate([kinds(rows - hits), kinds(hits)], axis=1)
    reward = np.concatenate([np.zeros_like(shared[0]), np.ones_like(shared[0])], axis=1)
    return relative_lifts(RowKinds(count, reward, *both), 1.0 - 2.0 * share, 100, 30)


def largest_error(budget: float, runs: int) -> float:
    """The budget plus three Monte Carlo standard errors."""
    return budget + 3.0 * math.sqrt(budget * (1.0 - budget) / runs)
