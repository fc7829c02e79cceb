"""The 28 days before a run, under production: which users visited and saved on which day, and what they engaged with.

A day is drawn as a whole. A user who visits λ times a day is active with probability 1 − e^−λ, and an active day has
m = λ · 2.5 / (1 − e^−λ) requests, the mean of its distribution: an objective with value V per request happens that day
with probability 1 − (1 − V)^m. What was engaged with is drawn from a slate that production serves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from event_schemas.units import DAY_MS, HOUR_MS
from simulator.traffic import DEVICE_SHARES, REQUESTS_PER_SESSION, TrafficPlan
from simulator.worlds.counter_draws import evenly, uniforms
from simulator.worlds.exact_values import ItemPlaces, engagement_chance, position_bias, reward_chance
from simulator.worlds.members import MOST_DAYS, WARM_UP_DAYS
from simulator.worlds.user_log import PastEngagements, UserLog
from simulator.worlds.world import World
from simulator.worlds.world_shape import PRODUCTION_WEIGHTS

DAY_STREAM = 131
FIRST_NUMBER = 2**40
"""Added to the numbers of days, so that they differ from those of requests."""
REMEMBERED = (0, 1)
"""Kinds that histories show: saves and P2P."""


def warm_up(world: World, shops: NDArray[np.bool_], log: UserLog, start_ms: int, requests_per_day: float) -> None:
    """Fills `log` with the days before `start_ms`; `requests_per_day` is the mean over users, `shops` their intents."""
    users = world.people.size
    visits = world.people.visits / world.people.visits.mean() * (requests_per_day / REQUESTS_PER_SESSION)
    cells = np.arange(users, dtype=np.int64)[:, None] * MOST_DAYS + np.arange(WARM_UP_DAYS)
    drawn = uniforms(world.seed, DAY_STREAM, cells.ravel(), 8).reshape(users, WARM_UP_DAYS, 8)
    # By day and then by user, so that engagements come in order of time.
    day, user = np.nonzero((drawn[..., 0] < -np.expm1(-visits)[:, None]).T)
    own = drawn[user, day]
    begin = start_ms - (WARM_UP_DAYS - day) * DAY_MS
    time = (begin + own[:, 1] * (DAY_MS - HOUR_MS)).astype(np.int64)
    log.visit(user, time)
    device = np.searchsorted(np.cumsum(DEVICE_SHARES)[:-1], own[:, 2])
    plan = TrafficPlan(FIRST_NUMBER + cells[user, day], time, user, np.zeros_like(user), device)
    done = _engagements(world, plan, shops[user, day], own[:, 3:], requests=visits * REQUESTS_PER_SESSION)
    for each in range(WARM_UP_DAYS):
        of_day = (done.time - start_ms) // DAY_MS == each - WARM_UP_DAYS
        log.engage(done.take(of_day))


def _engagements(
    world: World,
    plan: TrafficPlan,
    shops: NDArray[np.bool_],
    own: NDArray[np.float64],
    *,
    requests: NDArray[np.float64],
) -> PastEngagements:
    """What users did on their active days: at most one save and one P2P a day. `own` [n, 5] are uniform numbers."""
    shape, user = world.shape, plan.user
    sets = world.sets_of(user)[np.arange(len(user)), evenly(own[:, 0], shape.sets_per_topic)]
    production = world.ranking_weights(np.array([PRODUCTION_WEIGHTS]))
    items = world.catalogue.slates(production, shape.served)[world.people.style[user], sets, 0]
    places = ItemPlaces(np.broadcast_to(sets[:, None], items.shape), items)
    seen = engagement_chance(shape, world.people, world.catalogue, world.states(plan, shops), places)
    seen *= position_bias(shape)[:, None]
    amount = (requests / -np.expm1(-requests / REQUESTS_PER_SESSION))[user]
    happened = 1 - (1 - reward_chance(seen)) ** amount[:, None]
    numbers = places.item_numbers(shape.candidates)
    parts = []
    for kind in REMEMBERED:
        rows = np.flatnonzero(own[:, 1 + kind] < happened[:, kind])
        place = _places(seen[rows, :, kind], own[rows, 3 + kind])
        # Later than the visit, and on the same day.
        time = plan.time[rows] + (1 + kind) * HOUR_MS // 4
        parts.append(PastEngagements(user[rows], time, np.full(len(rows), kind), numbers[rows, place]))
    return parts[0].with_more(parts[1])


def _places(chance: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of one item for each row of `chance` [n, items], drawn in proportion to it by `u` [n]."""
    share = np.cumsum(chance, axis=1)
    return np.asarray((share < u[:, None] * share[:, -1:]).sum(axis=1), dtype=np.int64)
