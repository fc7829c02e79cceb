"""The world of the demo, as a run through serving needs it: the homefeed, what its requests show, and its responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from event_schemas.units import HOUR_MS
from serving_agent.decide import DecisionRequest, HeadSummaries
from simulator.homefeed import HEADS, OBJECTIVES, SERVED, Homefeed
from simulator.traffic import NUMBERS_PER_SEED, TrafficPlan
from simulator.user_responses import Response, ResponseQueue, ShownSlate
from simulator.visible_features import VisibleFeatures

STRIDE_MS = HOUR_MS
RANKER_VERSION = "homefeed-1"
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class EasyWorld:
    """A LiveWorld: users, items, their features and responses. Its lifts are far larger than any real surface has."""

    feed: Homefeed
    features: VisibleFeatures
    responses: ResponseQueue
    ranker_version: str = RANKER_VERSION
    kinds: Sequence[str] = OBJECTIVES

    def stride_end(self, time: int) -> int:
        """See LiveWorld."""
        return time + STRIDE_MS

    def stride(self, part: TrafficPlan) -> EasyStride:
        """See LiveWorld."""
        return EasyStride(self, part)

    def take_due(self, time: int) -> Iterator[Response]:
        """See LiveWorld."""
        return self.responses.take_due(time)

    def rest(self) -> Iterator[Response]:
        """See LiveWorld."""
        return self.responses.rest()

    def true_values(self, plan: TrafficPlan, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """See LiveWorld."""
        return self.feed.true_values_of(plan, weights)


class EasyStride:
    """A LiveStride of the easy world."""

    def __init__(self, world: EasyWorld, part: TrafficPlan) -> None:
        self._world = world
        self._part = part
        self._candidates = world.feed.candidates(part.number)
        self._summaries = summarise_heads(self._candidates.heads)
        self._chosen = np.empty((len(part), SERVED), dtype=np.int64)

    def request(self, index: int) -> DecisionRequest:
        """See LiveStride."""
        return self._world.features.request(self._part, index)

    def rank(self, index: int, weights: NDArray[np.float64]) -> Sequence[str]:
        """See LiveStride."""
        self._chosen[index] = self._world.feed.served(self._candidates.heads[index], weights)
        return self._items(index)

    def heads(self, index: int) -> HeadSummaries:
        """See LiveStride."""
        return self._summaries[index]

    def respond(self, logged: Mapping[int, str]) -> None:
        """See LiveStride."""
        chance = self._world.feed.engagement_probability(self._part, self._candidates.appeal, self._chosen)
        slates = [self._slate(index, request_id) for index, request_id in logged.items()]
        self._world.responses.respond(slates, chance[list(logged)])

    def _slate(self, index: int, request_id: str) -> ShownSlate:
        part = self._part
        return ShownSlate(int(part.number[index]), request_id, int(part.time[index]), self._items(index))

    def _items(self, index: int) -> list[str]:
        number = int(self._part.number[index]) % NUMBERS_PER_SEED
        return [f"item-{number}-{position}" for position in self._chosen[index]]


def summarise_heads(heads: NDArray[np.float32]) -> list[Mapping[str, Mapping[str, float]]]:
    """Per request {head: {count, mean, p10, p50, p90}} over its candidates; `heads` [n, candidates, heads]."""
    means = heads.mean(axis=1)
    quantiles = np.quantile(heads, QUANTILES, axis=1)
    count = heads.shape[1]
    return [
        {
            head: {
                "count": count,
                "mean": float(means[row, column]),
                **{f"p{100 * q:.0f}": float(quantiles[k, row, column]) for k, q in enumerate(QUANTILES)},
            }
            for column, head in enumerate(HEADS)
        }
        for row in range(len(heads))
    ]
