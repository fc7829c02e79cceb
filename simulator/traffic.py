"""Plans when users visit: sessions over simulated days, each with a few requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from event_schemas.units import DAY_MS, HOUR_MS

REQUEST_GAP_MS = 90_000.0
REQUESTS_PER_SESSION = 2.5
DEVICE_SHARES = (0.7, 0.1, 0.2)
TRAFFIC_STREAM = 2
NUMBERS_PER_SEED = 1_000_000


class Visitors(Protocol):
    """Users, with how often each of them visits."""

    @property
    def visits(self) -> NDArray[np.float64]:
        """Relative numbers of visits, by user."""
        ...


@dataclass(frozen=True)
class TrafficPlan:
    """Requests in time order, as arrays over requests: number, time (epoch ms), user, session and device index.

    Numbers start at seed · 10^6, so plans with different seeds have no number in common.
    """

    number: NDArray[np.int64]
    time: NDArray[np.int64]
    user: NDArray[np.int64]
    session: NDArray[np.int64]
    device: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.number)

    def part(self, start: int, stop: int) -> Self:
        """The requests `start` … `stop` − 1 of this plan."""
        return self.take(slice(start, stop))

    def take(self, chosen: slice | NDArray[np.int64]) -> Self:
        """The requests at these positions."""
        return type(self)(
            self.number[chosen], self.time[chosen], self.user[chosen], self.session[chosen], self.device[chosen]
        )


def plan_traffic(seed: int, population: Visitors, requests: int, *, start_ms: int, end_ms: int) -> TrafficPlan:
    """`requests` requests between `start_ms` and `end_ms` (epoch ms, start < end).

    Traffic grows over the days to three times its initial rate and is busiest in the evening. Sessions have a geometric
    number of requests (mean 2.5) about 90 s apart; users are drawn in proportion to their visits.
    """
    if not 1 <= requests <= NUMBERS_PER_SEED or start_ms >= end_ms:
        raise ValueError(f"{requests} requests between {start_ms} and {end_ms} cannot be planned")
    random = np.random.default_rng([seed, TRAFFIC_STREAM])
    lengths = random.geometric(1 / REQUESTS_PER_SESSION, size=requests)
    lengths = lengths[: int(np.searchsorted(np.cumsum(lengths), requests)) + 1]
    session = np.repeat(np.arange(len(lengths)), lengths)[:requests]
    begin = _session_starts(random, len(lengths), start_ms, end_ms)
    position = np.arange(requests) - np.searchsorted(session, session)
    gaps = random.exponential(REQUEST_GAP_MS, size=requests) * (position > 0)
    before = np.cumsum(gaps)
    time = begin[session] + before - before[np.searchsorted(session, session)]
    users = random.choice(len(population.visits), size=len(lengths), p=population.visits / population.visits.sum())
    devices = random.choice(len(DEVICE_SHARES), size=len(lengths), p=DEVICE_SHARES)
    order = np.argsort(time, kind="stable")
    return TrafficPlan(
        number=seed * NUMBERS_PER_SEED + np.arange(requests, dtype=np.int64),
        time=np.clip(time[order], start_ms, end_ms - 1).astype(np.int64),
        user=users[session][order],
        session=session[order],
        device=devices[session][order],
    )


def _session_starts(random: np.random.Generator, sessions: int, start_ms: int, end_ms: int) -> NDArray[np.float64]:
    """Start times: more on later days and around 20:00 UTC (half of them are the nearer one of two drawn times)."""
    # The inverse of F(x) = (x + x²) / 2, a distribution whose density grows from 0.5 to 1.5.
    grown = (np.sqrt(1 + 8 * random.random((sessions, 2))) - 1) / 2
    moments = start_ms + grown * (end_ms - start_ms)
    hour = moments % DAY_MS / HOUR_MS
    distance = np.minimum(np.abs(hour - 20), 24 - np.abs(hour - 20))
    nearer = np.take_along_axis(moments, np.argmin(distance, axis=1)[:, None], axis=1)[:, 0]
    return np.where(random.random(sessions) < 0.5, nearer, moments[:, 0])
