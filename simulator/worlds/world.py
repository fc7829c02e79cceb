"""A world: its users and items, the states of requests, and the exact value of every weight vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from event_schemas.units import DAY_MS, HOUR_MS
from simulator.traffic import TrafficPlan
from simulator.worlds.catalogue import Catalogue, draw_catalogue, full_weights
from simulator.worlds.counter_draws import normals
from simulator.worlds.exact_values import (
    ItemPlaces,
    RequestStates,
    blocks,
    engagement_chance,
    gates,
    position_bias,
    reward_chance,
)
from simulator.worlds.members import Members, draw_members
from simulator.worlds.world_shape import KINDS, PRODUCTION_WEIGHTS, WorldShape

FACTOR_STREAM = 121
DEVICE_LEAN = np.array([-0.5, 0.0, 1.0])
EVENING_HOURS = (18, 24)
Array = NDArray[np.float64]


@dataclass(frozen=True)
class World:
    """Users and items of one seed. Pure: the same arguments give the same answer."""

    shape: WorldShape
    seed: int
    people: Members
    catalogue: Catalogue

    @classmethod
    def made_of(cls, shape: WorldShape, seed: int, users: int) -> Self:
        """The world of this shape and seed with its first `users` users."""
        return cls(shape, seed, draw_members(shape, seed, users), draw_catalogue(shape, seed))

    def after_drift(self, heads: Sequence[float], taste: float) -> Self:
        """The world after a drift: each head predicts `heads` [5] times as much, leans move by `taste` logits."""
        lean = replace(self.shape.lean, base=self.shape.lean.base + taste)
        return replace(
            self, shape=replace(self.shape, lean=lean), catalogue=self.catalogue.with_heads_scaled(np.asarray(heads))
        )

    def states(self, plan: TrafficPlan, shops: NDArray[np.bool_]) -> RequestStates:
        """The states of the plan's requests; `shops` is the intent of each."""
        lean, people = self.shape.lean, self.people
        traits, intent = people.traits[plan.user], np.where(shops, 1.0, -1.0)
        hour = plan.time % DAY_MS / HOUR_MS
        evening = np.where((hour >= EVENING_HOURS[0]) & (hour < EVENING_HOURS[1]), 1.0, -0.5)
        logit = (
            lean.base
            + lean.trait * traits[:, 0]
            + lean.intent * intent
            + lean.crossed * traits[:, 1] * intent
            + lean.paired * traits[:, 1] * traits[:, 2]
            + lean.topic * np.cos(2 * np.pi * people.topic[plan.user] / self.shape.topics)
            + lean.device * DEVICE_LEAN[plan.device]
            + lean.evening * evening
        )
        spread = self.shape.context_spread
        factor = np.exp(spread * normals(self.seed, FACTOR_STREAM, plan.number, 1)[:, 0] - spread**2 / 2)
        return RequestStates(plan.user, 1 / (1 + np.exp(-logit)), factor)

    def arm_values(self, states: RequestStates, weights: Array, inside: Array) -> Array:
        """E[reward | state, arm], [n, arms, 3] by kind, of the tuned weights [arms, 2]; see `exact_values`.

        `inside` [3] is the share of each kind's engagements that happen inside their window.
        """
        served, gate = (
            self.catalogue.slates(self.ranking_weights(weights), self.shape.served),
            gates(self.shape, weights),
        )
        seen = inside * position_bias(self.shape)[:, None]
        found = np.empty((len(states), len(weights), len(KINDS)))
        for block in blocks(len(states)):
            part = states.take(block)
            sets = self.sets_of(part.user)
            places = ItemPlaces(sets[..., None], np.arange(self.shape.candidates)[None, None])
            chance = engagement_chance(self.shape, self.people, self.catalogue, part, places)
            chosen = served[self.people.style[part.user][:, None], sets]
            flat = chosen.reshape(*chosen.shape[:2], -1, 1)
            shown = np.take_along_axis(chance, flat, axis=2).reshape(*chosen.shape, len(KINDS))
            found[block] = gate * reward_chance(seen * shown).mean(axis=1)
        return found

    def values_of(self, states: RequestStates, weights: Array, inside: Array) -> Array:
        """E[reward | state, weights], [n, 3] by kind, if request i is served with `weights[i]`."""
        kinds, which = np.unique(weights, axis=0, return_inverse=True)
        if len(kinds) == 1:
            return self.arm_values(states, kinds, inside)[:, 0]
        found = np.empty((len(states), len(KINDS)))
        for number, each in enumerate(kinds):
            rows = np.flatnonzero(which.reshape(-1) == number)
            found[rows] = self.arm_values(states.take(rows), each[None], inside)[:, 0]
        return found

    def sets_of(self, user: NDArray[np.int64]) -> NDArray[np.int64]:
        """The candidate sets that retrieval may answer with, [n, sets_per_topic]."""
        first = self.people.topic[user] * self.shape.sets_per_topic
        return first[:, None] + np.arange(self.shape.sets_per_topic)

    def ranking_weights(self, weights: Array) -> Array:
        """Weights [n, 5] of all heads for tuned weights [n, 2]: production's where weights make no difference."""
        full = full_weights(self.shape, weights)
        if self.shape.same_slate:
            full[:, : len(PRODUCTION_WEIGHTS)] = PRODUCTION_WEIGHTS
        return full
