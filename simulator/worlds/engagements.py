"""Draws what users do with the slates that they are served, and when; every draw belongs to a request and an item.

The delay of an engagement is exponential with a mean of 8 minutes, in whole milliseconds, so a share
1 − e^−(A + 1)/τ of them happens inside an attribution window of A ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS, MINUTE_MS
from simulator.traffic import TrafficPlan
from simulator.worlds.counter_draws import uniforms
from simulator.worlds.exact_values import ItemPlaces, RequestStates, engagement_chance, gates, position_bias
from simulator.worlds.faults import Faults
from simulator.worlds.user_log import PastEngagements
from simulator.worlds.world import World
from simulator.worlds.world_shape import KINDS

MEAN_DELAY_MS = 8.0 * MINUTE_MS
HAPPENING_STREAM, GATE_STREAM, DELAY_STREAM = 141, 142, 143


@dataclass(frozen=True)
class Served:
    """What requests were served: weights [n, 2], and the items [n, served] with their sets, best first."""

    weights: NDArray[np.float64]
    places: ItemPlaces


@dataclass(frozen=True)
class Engaged:
    """Engagements in order of request, position and kind.

    `row` is the position of the request in its plan, `position` that of the item in its slate, and `copies` is how
    often each is logged: 0 where it is missing, 2 for a duplicate.
    """

    row: NDArray[np.int64]
    position: NDArray[np.int64]
    done: PastEngagements
    copies: NDArray[np.int64]


def attributions(experiment: Experiment) -> list[int]:
    """The attribution window (ms) of each kind: that of what counts it first, or the longest if nothing does."""
    found = []
    for kind in KINDS:
        counted = [each.attribution for each in experiment.counted if kind in each.kinds]
        found.append(counted[0] if counted else experiment.longest_attribution_ms)
    return found


def inside_share(attribution_ms: Sequence[float]) -> NDArray[np.float64]:
    """P(an engagement happens inside its window) for windows in ms."""
    share: NDArray[np.float64] = -np.expm1(-(np.array(attribution_ms, dtype=np.float64) + 1) / MEAN_DELAY_MS)
    return share


def engage(
    world: World, plan: TrafficPlan, states: RequestStates, served: Served, faults: Faults, start_ms: int
) -> Engaged:
    """What users do with what the plan's requests were served; `start_ms` is when the run began."""
    shape, count = world.shape, world.shape.served * len(KINDS)
    chance = engagement_chance(shape, world.people, world.catalogue, states, served.places)
    chance *= position_bias(shape)[:, None]
    coins = uniforms(world.seed, HAPPENING_STREAM, plan.number, count).reshape(chance.shape)
    responds = uniforms(world.seed, GATE_STREAM, plan.number, len(KINDS)) < gates(shape, served.weights)
    row, position, kind = np.nonzero((coins < chance) & responds[:, None, :])
    cell = plan.number[row] * count + position * len(KINDS) + kind
    own = uniforms(world.seed, DELAY_STREAM, cell, 3)
    delay = (-np.log(own[:, 0]) * MEAN_DELAY_MS * faults.delay).astype(np.int64)
    item = served.places.item_numbers(shape.candidates)[row, position]
    done = PastEngagements(plan.user[row], plan.time[row] + delay, kind, item)
    copies = np.where(own[:, 1] < faults.missing, 0, np.where(own[:, 2] < faults.duplicates, 2, 1))
    return Engaged(row, position, done, np.where(_dead(done, faults, start_ms), 0, copies))


def _dead(done: PastEngagements, faults: Faults, start_ms: int) -> NDArray[np.bool_]:
    """Which engagements happen while their feed is dead."""
    day = (done.time - start_ms) / DAY_MS
    silent = (day >= faults.dead_from) & (day < faults.dead_until)
    return silent if faults.dead_kind == "all" else silent & (done.kind == KINDS.index(faults.dead_kind))
