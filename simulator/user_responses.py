"""Draws the users' engagements with served items, and hands them out at their time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulator.homefeed import INSIDE_SHARE, OBJECTIVES

RESPONSE_STREAM = 13
OUTSIDE_DELAY_MS = 1_200_000.0
DUPLICATE_SHARE = 0.01


@dataclass(frozen=True, order=True, slots=True)
class Response:
    """One future engagement; sorts by time."""

    time: int
    request_id: str
    kind: str
    item_id: str


@dataclass(frozen=True, slots=True)
class ShownSlate:
    """The items served to one request, best first, and the request's time."""

    number: int
    request_id: str
    time: int
    items: Sequence[str]


class ResponseQueue:
    """Future engagements, handed out in order of time."""

    def __init__(self, seed: int, attribution_ms: Sequence[int]) -> None:
        """`attribution_ms` in the order of OBJECTIVES."""
        self._seed = seed
        self._attribution = np.array(attribution_ms, dtype=np.float64)
        self._waiting: list[Response] = []

    def respond(self, shown: Sequence[ShownSlate], probability: NDArray[np.float64]) -> int:
        """Draws the engagements with the slates in `shown` and returns their number.

        `probability` has shape [slates, items, objectives]. 97 % of the engagements happen inside the attribution
        window, most of them early, and the rest after it. 1 % are sent twice.
        """
        if not shown:
            return 0
        stream = [0, 0, shown[0].number, RESPONSE_STREAM]
        random = np.random.Generator(np.random.Philox(key=self._seed, counter=stream))
        happened = random.random(probability.shape) < probability
        inside = random.random(probability.shape) < INSIDE_SHARE
        early = self._attribution * random.beta(1.0, 6.0, probability.shape)
        after = self._attribution + 1.0 + random.exponential(OUTSIDE_DELAY_MS, probability.shape)
        twice = random.random(probability.shape) < DUPLICATE_SHARE
        delay = np.where(inside, early, after).astype(np.int64)
        for row, item, objective in np.argwhere(happened):
            slate, cell = shown[row], (row, item, objective)
            moment = slate.time + int(delay[cell])
            response = Response(moment, slate.request_id, OBJECTIVES[objective], slate.items[item])
            for _ in range(1 + int(twice[cell])):
                self.put(response)
        return int(happened.sum())

    def put(self, response: Response) -> None:
        """Adds an engagement that was drawn elsewhere."""
        heapq.heappush(self._waiting, response)

    def take_due(self, time: int) -> Iterator[Response]:
        """Removes and yields the engagements at or before `time`, earliest first."""
        while self._waiting and self._waiting[0].time <= time:
            yield heapq.heappop(self._waiting)

    def rest(self) -> Iterator[Response]:
        """Removes and yields all remaining engagements, earliest first."""
        while self._waiting:
            yield heapq.heappop(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)
