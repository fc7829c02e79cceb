"""What a request earns under each weight vector, exactly.

A request gets one of its topic's S candidate sets, each equally likely. Given the set, the ranker serves items i₁ … i_k
under weights w, and users engage with each of them independently if the request responds at all. With clip 1

    V_o(request, w) = g_o(w) · 1/S Σ_set [1 − Π_k (1 − ρ · b_k · p_o(request, i_k))],

g the gate, b_k = β^(k−1) the position bias, and ρ the share of engagements inside their attribution window. The mean
over sets has S terms, so nothing is sampled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simulator.worlds.catalogue import Catalogue
from simulator.worlds.members import Members
from simulator.worlds.world_shape import PRODUCTION_WEIGHTS, WEIGHT_HIGH, WEIGHT_LOW, WorldShape

LARGEST_CHANCE = 0.9
BLOCK = 512
HIDE_GAIN = 0.8


@dataclass(frozen=True)
class RequestStates:
    """What determines the rewards of requests, one row each.

    `user` is an index, `lean` in [0, 1], `factor` > 0 multiplies all chances. Nothing here depends on what was served.
    """

    user: NDArray[np.int64]
    lean: NDArray[np.float64]
    factor: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: slice | NDArray[np.int64]) -> Self:
        """The states at these positions."""
        return type(self)(self.user[rows], self.lean[rows], self.factor[rows])


@dataclass(frozen=True)
class ItemPlaces:
    """Items of requests: `sets` and `items` are indices of equal or broadcast shape [n, …]."""

    sets: NDArray[np.int64]
    items: NDArray[np.int64]

    def item_numbers(self, per_set: int) -> NDArray[np.int64]:
        """The number of each item in the catalogue, which has `per_set` items in a set."""
        return self.sets * per_set + self.items


def engagement_chance(
    shape: WorldShape, people: Members, catalogue: Catalogue, states: RequestStates, shown: ItemPlaces
) -> NDArray[np.float64]:
    """P(engagement | item at the top, the request responds), [n, …, 3] by request, item and kind."""
    user, spare = states.user, (1,) * (shown.sets.ndim - 1)
    quality = catalogue.quality[shown.sets, shown.items]
    match = catalogue.match[people.style[user].reshape(-1, *spare), shown.sets, shown.items]
    liking = (shape.catchy + shape.catchy_spread * people.traits[user, 3]).reshape(-1, *spare)
    inspiring, sellable, catchy = np.moveaxis(quality, -1, 0)
    lure = match + liking * catchy
    hiding = HIDE_GAIN * (catchy - inspiring) - match
    appeal = np.stack([shape.gain * inspiring + lure, shape.gain * sellable + lure, hiding], axis=-1)
    level = _levels(shape, people, states).reshape(-1, *spare, 3)
    chance: NDArray[np.float64] = np.minimum(level / (1 + np.exp(1.0 - appeal)), LARGEST_CHANCE)
    return chance


def gates(shape: WorldShape, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(the request responds), [n, 3] by kind, of the tuned weights [n, 2]; see GateShape."""
    gate = shape.gate
    low, high = np.array(WEIGHT_LOW), np.array(WEIGHT_HIGH)
    production, peak = (np.array(PRODUCTION_WEIGHTS) - low) / (high - low), np.array(gate.peak)
    away = (((weights - low) / (high - low) - peak) ** 2).sum(axis=1) / ((production - peak) ** 2).sum()
    bowl = 1 + np.array(gate.height) * (1 - away)[:, None]
    is_production = (weights == np.array(PRODUCTION_WEIGHTS)).all(axis=1)
    factor = np.where(is_production[:, None], 1.0, np.array(gate.others) * bowl)
    responds: NDArray[np.float64] = np.clip(np.array(gate.level) * factor, 0.0, 1.0)
    return responds


def position_bias(shape: WorldShape) -> NDArray[np.float64]:
    """float64[served]: the chance that a user looks at each position, 1 at the top."""
    bias: NDArray[np.float64] = shape.position_bias ** np.arange(shape.served, dtype=np.float64)
    return bias


def reward_chance(seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 − Π_k (1 − p_k) over the items, the axis before the last, of `seen` [..., items, kinds]."""
    value: NDArray[np.float64] = 1.0 - np.prod(1.0 - seen, axis=-2)
    return value


def unit_values(values: NDArray[np.float64], unit: NDArray[np.int64]) -> NDArray[np.float64]:
    """P(at least one reward) in each session or user-day, [units, kinds]: 1 − Π over its requests of (1 − V).

    `values` [n, kinds] are those of what each request was served, `unit` [n] numbers the units from 0. Given their
    states, the requests of a unit respond independently.
    """
    missed = np.zeros((int(unit.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(missed, unit, np.log1p(-values))
    found: NDArray[np.float64] = -np.expm1(missed)
    return found


def blocks(rows: int) -> Iterator[slice]:
    """Slices of at most BLOCK rows."""
    return (slice(start, min(start + BLOCK, rows)) for start in range(0, rows, BLOCK))


def _levels(shape: WorldShape, people: Members, states: RequestStates) -> NDArray[np.float64]:
    """The largest chances, [n, 3]: the rates of a user, for what the request leans to."""
    lean = states.lean[:, None]
    wish = np.concatenate([1 - shape.mix * lean, 1 - shape.mix * (1 - lean), np.ones_like(lean)], axis=1)
    level: NDArray[np.float64] = (
        np.array(shape.rates) * np.exp(people.log_rates[states.user]) * wish * states.factor[:, None]
    )
    return level
