"""One run of a world over a traffic plan: the features of its requests, what they are served, and what users do.

Features are those of a feature store that is refreshed every full hour: cohorts are of the day, and histories hold what
happened before the hour. So a run needs its requests in order, in parts of one hour each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from event_schemas.units import DAY_MS, HOUR_MS
from simulator.traffic import TrafficPlan
from simulator.worlds.catalogue import head_summaries, ranked, utilities
from simulator.worlds.counter_draws import evenly, uniforms
from simulator.worlds.engagements import Engaged, Served, engage, inside_share
from simulator.worlds.exact_values import ItemPlaces, RequestStates
from simulator.worlds.faults import Faults
from simulator.worlds.members import WARM_UP_DAYS, shopping_intents
from simulator.worlds.user_log import NO_ENGAGEMENTS, PastEngagements, UserLog
from simulator.worlds.warm_up import REMEMBERED, warm_up
from simulator.worlds.world import World

RETRIEVAL_STREAM = 151


@dataclass(frozen=True)
class RequestFeatures:
    """What a serving node may see of requests: `cohort` is an index into COHORTS, histories are as in UserLog."""

    cohort: NDArray[np.int64]
    embedding: NDArray[np.float32]
    history: PastEngagements
    lengths: NDArray[np.int64]


@dataclass(frozen=True)
class RunCalendar:
    """When a run begins and ends (epoch ms), and how many requests a user makes a day."""

    start_ms: int
    end_ms: int
    requests_per_day: float

    @property
    def days(self) -> int:
        """Days that the run touches."""
        return -(-(self.end_ms - self.start_ms) // DAY_MS) + 1


class WorldRun:
    """The state of a run. Usage, for each part of the plan in order, none of which crosses a full hour:

    1. `features(part)` refreshes what is known of users, and gives it.
    2. `rank(part, weights)` ranks.
    3. `react(part, served)` gives what users do, and notes it for later features.
    """

    def __init__(self, world: World, calendar: RunCalendar, faults: Faults | None = None) -> None:
        self.world = world
        self.faults = faults or Faults()
        self._calendar = calendar
        self._shops = shopping_intents(world.shape, world.seed, world.people.size, calendar.days)
        self._log = UserLog(world.people.size, calendar.start_ms, calendar.days)
        self._waiting = NO_ENGAGEMENTS
        self._hour = -1
        self._day = -1
        self._cohorts = np.zeros(0, dtype=np.int64)
        warm_up(world, self._shops, self._log, calendar.start_ms, calendar.requests_per_day)

    @cached_property
    def later_world(self) -> World:
        """The world from `faults.drift_from` on."""
        return self.world.after_drift(self.faults.head_factors, self.faults.drift_taste)

    def world_at(self, time: int) -> World:
        """The world at a time (epoch ms)."""
        return self.later_world if time >= self._drift_ms else self.world

    @cached_property
    def _drift_ms(self) -> float:
        """The full hour from which on the world is the drifted one."""
        if not self.faults.drifts:
            return float("inf")
        return float(np.ceil((self._calendar.start_ms + self.faults.drift_from * DAY_MS) / HOUR_MS) * HOUR_MS)

    def states(self, part: TrafficPlan) -> RequestStates:
        """The states of requests that one world serves; they do not depend on what was served before."""
        world = self.world_at(int(part.time[0])) if len(part) else self.world
        return world.states(part, self._shops[part.user, self._days(part.time)])

    def features(self, part: TrafficPlan) -> RequestFeatures:
        """What is known of the part's requests at the full hour before them."""
        self._refresh(int(part.time[0]))
        history, lengths = self._log.history(part.user)
        return RequestFeatures(self._cohorts[part.user], self.world.people.embedding[part.user], history, lengths)

    def retrieved(self, part: TrafficPlan) -> NDArray[np.int64]:
        """The set that each request gets."""
        per_topic = self.world.shape.sets_per_topic
        drawn = uniforms(self.world.seed, RETRIEVAL_STREAM, part.number, 1)[:, 0]
        return self.world.people.topic[part.user] * per_topic + evenly(drawn, per_topic)

    def summaries(self, part: TrafficPlan) -> NDArray[np.float32]:
        """Mean, p10, p50 and p90 of each head over the candidates of each request, [n, 5, 4]."""
        world = self.world_at(int(part.time[0]))
        return head_summaries(world.catalogue.heads)[world.people.style[part.user], self.retrieved(part)]

    def rank(self, part: TrafficPlan, weights: NDArray[np.float64]) -> Served:
        """The slates under the tuned weights [n, 2]."""
        world, sets = self.world_at(int(part.time[0])), self.retrieved(part)
        heads = world.catalogue.heads[world.people.style[part.user], sets]
        items = ranked(utilities(heads, world.ranking_weights(weights)[:, None]), world.shape.served)
        return Served(weights, ItemPlaces(np.broadcast_to(sets[:, None], items.shape), items))

    def react(self, part: TrafficPlan, served: Served) -> Engaged:
        """What users do with the part's slates."""
        engaged = engage(
            self.world_at(int(part.time[0])), part, self.states(part), served, self.faults, self._calendar.start_ms
        )
        self._log.visit(part.user, part.time)
        remembered = np.isin(engaged.done.kind, REMEMBERED)
        self._waiting = self._waiting.with_more(engaged.done.take(remembered))
        return engaged

    def exact_values(
        self, part: TrafficPlan, weights: NDArray[np.float64], attribution_ms: Sequence[float]
    ) -> NDArray[np.float64]:
        """The exact E[reward], [n, 3] by kind, if request i is served with `weights[i]`; windows are in ms."""
        found = np.empty((len(part), len(attribution_ms)))
        later = part.time >= self._drift_ms
        for rows in (np.flatnonzero(~later), np.flatnonzero(later)):
            if len(rows):
                some = part.take(rows)
                world = self.world_at(int(some.time[0]))
                found[rows] = world.values_of(self.states(some), weights[rows], inside_share(attribution_ms))
        return found

    def _refresh(self, time: int) -> None:
        hour = time - time % HOUR_MS
        if hour <= self._hour:
            return
        self._hour = hour
        due = self._waiting.time < hour
        self._log.engage(self._waiting.take(due))
        self._waiting = self._waiting.take(~due)
        if hour // DAY_MS != self._day:
            self._day = hour // DAY_MS
            self._cohorts = self._log.cohorts(time)

    def _days(self, time: NDArray[np.int64]) -> NDArray[np.int64]:
        days = (time - self._calendar.start_ms) // DAY_MS + WARM_UP_DAYS
        return np.asarray(np.minimum(days, self._shops.shape[1] - 1), dtype=np.int64)
