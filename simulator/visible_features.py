"""The features of a homefeed request that a serving node sees: embedding, context and history, but no affinities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from event_schemas.exploration_units import Unit, session_request_id
from event_schemas.records import HistoryItemRecord
from event_schemas.units import DAY_MS, HOUR_MS, MINUTE_MS
from serving_agent.decide import DecisionRequest
from simulator.homefeed import DEVICES
from simulator.traffic import NUMBERS_PER_SEED, TrafficPlan
from simulator.user_population import COHORTS, UserPopulation

HISTORY_LENGTH = 5
ITEM_EMBEDDING_DIM = 4
ACTION_TYPES = ("repin", "p2p", "closeup")
CLOSEUP_PULL = 0.1
HISTORY_STREAM = 12
HISTORY_GAP_HOURS = 8.0
# The typical item embedding of each kind: inspiring, for sale, merely eye-catching.
ITEM_LOOKS = np.array([[1.0, 0.0, 0.3, -0.2], [-0.2, 1.0, -0.3, 0.2], [-0.4, -0.4, 0.6, 0.6]])


def request_id_of(number: int) -> str:
    """The id of the request with this number, or what is unique in the id where its session is named too."""
    return "homefeed-{}-{:06d}".format(*divmod(number, NUMBERS_PER_SEED))


def request_names(plan: TrafficPlan, index: int, unit: Unit) -> tuple[str, str]:
    """The request_id and the session_id of request number `index` of the plan.

    With the unit `session` the id begins with its session's, so that coins can be drawn for sessions.
    """
    number = int(plan.number[index])
    request_id, session_id = request_id_of(number), f"session-{number // NUMBERS_PER_SEED}-{plan.session[index]}"
    return request_id if unit == "request" else session_request_id(session_id, request_id), session_id


def context_of(plan: TrafficPlan, index: int) -> dict[str, str | float]:
    """The context features of request number `index` of the plan."""
    return {"device": DEVICES[plan.device[index]], "hour": round(int(plan.time[index]) % DAY_MS / DAY_MS, 3)}


class VisibleFeatures:
    """Builds decision requests; the same world and plan always give the same requests."""

    def __init__(self, seed: int, population: UserPopulation, unit: Unit = "request") -> None:
        self._seed = seed
        self._unit = unit
        self._people = population
        likes = np.stack([population.save, population.p2p, np.full(population.size, CLOSEUP_PULL)], axis=1)
        self._cumulative = np.cumsum(likes / likes.sum(axis=1, keepdims=True), axis=1)

    def request(self, plan: TrafficPlan, index: int) -> DecisionRequest:
        """The decision request number `index` of the plan."""
        user, time = int(plan.user[index]), int(plan.time[index])
        request_id, session_id = request_names(plan, index, self._unit)
        return DecisionRequest(
            request_id=request_id,
            user_id=f"user-{user}",
            session_id=session_id,
            cohort=COHORTS[self._people.cohort[user]],
            user_embedding=self._people.embedding[user].tolist(),
            context=context_of(plan, index),
            history=self._history(int(plan.number[index]), user, time),
            event_time=time,
        )

    def _history(self, number: int, user: int, time: int) -> list[HistoryItemRecord]:
        """0 to 5 past actions of the user, oldest first, drawn according to the user's taste."""
        random = np.random.Generator(np.random.Philox(key=self._seed, counter=[0, 0, number, HISTORY_STREAM]))
        count = int(random.integers(0, HISTORY_LENGTH + 1))
        kinds = np.searchsorted(self._cumulative[user], random.random(count))
        kinds = np.minimum(kinds, len(ACTION_TYPES) - 1)
        ages = np.cumsum(random.exponential(HISTORY_GAP_HOURS, count))[::-1] * HOUR_MS
        looks: NDArray[np.float64] = ITEM_LOOKS[kinds] + random.normal(0.0, 0.3, (count, ITEM_EMBEDDING_DIM))
        return [
            {
                "item_id": f"pin-{number % 99_991}-{position}",
                "action_type": ACTION_TYPES[kinds[position]],
                "event_time": time - MINUTE_MS - int(ages[position]),
                "embedding": looks[position].tolist(),
            }
            for position in range(count)
        ]
