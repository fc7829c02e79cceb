"""The exploration rate under a fleet-wide cap: ε_t is lowered before the draw, and no drawn request is refused.

A node has an allowance a = cap × its share, in explored requests per second. It spends from a credit (a token bucket):
a is earned per second, 3·a is the most that a node ever has, an explored request costs 1, and nothing explores while
less than 1 is left. So a node explores at most a·(T + 3) requests in any T seconds, whatever its traffic and its draws,
and at most 63·a = 1.05 × 60·a in 60 s. Shares of a fleet that add up to at most 1 thereby keep the whole fleet within
63 × cap, also while they move from node to node: what a node has is bounded by the share that it has at that moment.

Below about 1/3 per second 3·a is no whole request. There a node has one request at most and earns ⌊63·a⌋ per 60 s, a
at most: in any 60 s again no more than ⌊63·a⌋. While shares move, each of these nodes may add the request that it has.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple, Protocol

from event_schemas.process_fork import renew_in_children
from event_schemas.slices import Slice, SliceDraw
from monitoring.metrics import ServingMetrics

WINDOW_S = 60.0
BUCKET_S = 0.1
"""How often ε_t is computed and the allowance of the past is earned, in seconds."""
SPARE_S = 3.0
"""Seconds of the allowance that a node may have: 5 % of 60 s. One bucket of them is earned and not yet added."""
TRAFFIC_BUCKETS = 10
"""The traffic is the mean of the last second."""
FLOAT_ERROR = 1e-9


class Allowance(NamedTuple):
    """What a node earns per second, and the most credit that it keeps, in explored requests."""

    rate: float
    kept: float

    @classmethod
    def of(cls, a: float) -> Allowance:
        """The allowance of `a` explored requests per second, 0 or more."""
        kept = (SPARE_S - BUCKET_S) * a
        if kept >= 1.0:
            return cls(a, kept)
        whole = math.floor((WINDOW_S + SPARE_S) * a + FLOAT_ERROR)
        return cls(min(a, whole / (WINDOW_S + BUCKET_S)), 1.0 if whole else 0.0)


def shares_worth(cap: float) -> int:
    """The most nodes that a cap (explored requests per second) is worth splitting among: one request per 60 s each."""
    return max(1, math.floor(WINDOW_S * cap + FLOAT_ERROR))


class ExplorationCap:
    """ε_t as a function of past traffic: of how many requests came, and how many of them explored.

    Every 100 ms ε_t = min(ε, c·(1 + 1/a) / λ̂), where c is the credit, a the allowance per second and λ̂ the traffic of
    the last second. What is kept is so spent within about a second, and the credit settles at a²/(1 + a), far from both
    of its ends. `share` gives the node's share of `cap` in [0, 1] and must be quick. Not thread-safe.
    """

    def __init__(self, highest_rate: float, cap: float, share: Callable[[], float]) -> None:
        self._highest = highest_rate
        self._cap = cap
        self._share_now = share
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forgets the past: no credit, no traffic. What a process before this one explored may count for 60 s."""
        self.share = 0.0
        self._allowance = Allowance(0.0, 0.0)
        self._credit = 0.0
        self._rate = 0.0
        self._requests = 0
        self._recent = deque[int](maxlen=TRAFFIC_BUCKETS)
        self._bucket_began: float | None = None
        self._bucket_ends = -math.inf

    def rate(self, now: float) -> float:
        """ε_t in [0, 1] of a request at `now`, in seconds of a monotonic clock; the request counts as traffic."""
        if now >= self._bucket_ends:
            self._turn(now)
        self._requests += 1
        return self._rate if self._credit >= 1.0 else 0.0

    def note_explored(self) -> None:
        """Charges the request that `rate` was asked for."""
        self._credit -= 1.0

    def _turn(self, now: float) -> None:
        """Closes the bucket, earns its allowance and computes the next rate."""
        began = now if self._bucket_began is None else self._bucket_began
        buckets = int((now - began) / BUCKET_S)
        if buckets:
            self._recent.append(self._requests)
            self._recent.extend([0] * min(buckets - 1, TRAFFIC_BUCKETS))
            self._requests = 0
        self._bucket_began = began + buckets * BUCKET_S
        self._bucket_ends = self._bucket_began + BUCKET_S
        self.share = self._share_now()
        before, self._allowance = self._allowance, Allowance.of(self._cap * self.share)
        # A share that has just grown was smaller before.
        earned = min(before.rate, self._allowance.rate) * buckets * BUCKET_S
        self._credit = min(self._credit + earned, self._allowance.kept)
        self._rate = self._next_rate()

    def _next_rate(self) -> float:
        a, traffic = self._allowance.rate, sum(self._recent) / (max(len(self._recent), 1) * BUCKET_S)
        if a <= 0.0 or self._credit <= 0.0:
            return 0.0
        spent = self._credit * (1.0 + 1.0 / a)
        return self._highest if spent >= self._highest * traffic else spent / traffic


class SliceSource(Protocol):
    """Draws slices, as ExplorationDraws does."""

    def slice(self, request_id: str, exploration_rate: float | None = None) -> SliceDraw:
        """See ExplorationDraws."""
        ...


class RatedDraws:
    """Draws each request's slice at the ε_t in force. Thread-safe: with a cap, one request after another.

    Without a `cap` ε_t is `highest_rate`, and 0 while killed.
    """

    def __init__(
        self,
        draws: SliceSource,
        highest_rate: float,
        cap: ExplorationCap | None = None,
        metrics: ServingMetrics | None = None,
    ) -> None:
        self._draws = draws
        self._highest = highest_rate
        self._cap = cap
        self._metrics = metrics
        self._shown: float | None = None
        self._lock = Lock()
        renew_in_children(self)

    def draw(self, request_id: str, now: float, killed: bool = False) -> tuple[SliceDraw, float]:
        """The slice and ε_t of a request at `now`, in seconds of a monotonic clock."""
        cap = self._cap
        if cap is None:
            rate = 0.0 if killed else self._highest
            drawn = self._draws.slice(request_id, rate)
        else:
            # The draw is part of it: between a rate and its charge no other request may spend the same credit.
            with self._lock:
                allowed = cap.rate(now)
                rate = 0.0 if killed else allowed
                drawn = self._draws.slice(request_id, rate)
                if drawn.slice is Slice.EXPLORE:
                    cap.note_explored()
        if rate != self._shown:
            self._show(rate)
        return drawn, rate

    def after_fork(self) -> None:
        """Leaves credit and traffic to the parent."""
        self._lock = Lock()
        self._shown = None
        if self._cap is not None:
            self._cap.begin_anew()

    def _show(self, rate: float) -> None:
        self._shown = rate
        if self._metrics is not None:
            self._metrics.exploration_rate.set(rate)
            if self._cap is not None:
                self._metrics.exploration_share.set(self._cap.share)
