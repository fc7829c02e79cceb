"""What this node has seen lately: the evidence for drift checks, bounded in memory.

Requests are kept as records, not as arrays: encoding them costs nothing on the request path, and a new policy is
tried on them with its own feature contract.
"""

import threading
from collections import deque
from collections.abc import Iterable

from event_schemas.process_fork import renew_in_children
from event_schemas.records import HeadSummaryRecord, RequestRecord

HEAD_VALUES = 2_000
KEPT_REQUESTS = 500
"""Requests remembered: as many as a new network is tried on, for each may hold thousands of numbers."""


class RecentTraffic:
    """The newest requests and, per ranker head, the newest `capacity` means. Safe across threads."""

    def __init__(self, capacity: int = HEAD_VALUES, max_heads: int = 64) -> None:
        self._capacity = capacity
        self._max_heads = max_heads
        self._requests: deque[RequestRecord] = deque(maxlen=min(capacity, KEPT_REQUESTS))
        self._heads: dict[str, deque[float]] = {}
        self._seen = 0
        self._lock = threading.Lock()
        renew_in_children(self)

    @property
    def seen(self) -> int:
        """Requests noted since the start: how much evidence is new between two looks."""
        return self._seen

    def note_request(self, record: RequestRecord) -> None:
        """Remember a request that was decided."""
        with self._lock:
            self._requests.append(record)
            self._seen += 1

    def note_heads(self, heads: Iterable[HeadSummaryRecord]) -> None:
        """Remember the ranker heads of one applied decision.

        Beyond `max_heads` names the one not heard of for longest is forgotten: names sent once by mistake must not
        keep out those that come with every decision.
        """
        with self._lock:
            for summary in heads:
                ring = self._heads.pop(summary["head"], None)
                if ring is None:
                    ring = deque(maxlen=self._capacity)
                    if len(self._heads) >= self._max_heads:
                        del self._heads[next(iter(self._heads))]
                ring.append(summary["mean"])
                self._heads[summary["head"]] = ring

    def after_fork(self) -> None:
        """A child goes on with what its parent has seen."""
        self._lock = threading.Lock()

    def requests(self, newest: int) -> list[RequestRecord]:
        """The `newest` requests remembered, oldest first."""
        with self._lock:
            kept = list(self._requests)
        return kept[-newest:]

    def heads(self) -> dict[str, list[float]]:
        """The remembered means by head name, oldest first."""
        with self._lock:
            return {head: list(ring) for head, ring in self._heads.items()}
