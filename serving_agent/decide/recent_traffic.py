"""This node's recent traffic: the evidence for drift checks, bounded in memory.

Requests are kept as records, not as arrays: so the request path does not pay for encoding, and each new policy is
tried on them with its own feature contract.
"""

import threading
from collections import deque
from collections.abc import Iterable

from event_schemas.process_fork import renew_in_children
from event_schemas.records import MOST_HEADS, HeadSummaryRecord, RequestRecord

HEAD_VALUES = 2_000
KEPT_REQUESTS = 500
"""Number of requests kept, all of which a new network is tried on; few, as each may hold thousands of numbers."""


class RecentTraffic:
    """The newest requests and, per ranker head, the newest `capacity` means. Thread-safe."""

    def __init__(self, capacity: int = HEAD_VALUES, max_heads: int = MOST_HEADS) -> None:
        self._capacity = capacity
        self._max_heads = max_heads
        self._requests: deque[RequestRecord] = deque(maxlen=min(capacity, KEPT_REQUESTS))
        self._heads: dict[str, deque[float]] = {}
        self._seen = 0
        self._lock = threading.Lock()
        renew_in_children(self)

    @property
    def seen(self) -> int:
        """Number of requests noted since the start; its growth shows how much evidence is new."""
        return self._seen

    def note_request(self, record: RequestRecord) -> None:
        """Notes a request that was decided."""
        with self._lock:
            self._requests.append(record)
            self._seen += 1

    def note_heads(self, heads: Iterable[HeadSummaryRecord]) -> None:
        """Notes the ranker heads of one applied decision.

        Beyond `max_heads` names, the least recently noted one is removed: names sent once by mistake must not displace
        those that come with every decision.
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
        """Renews the lock; a child continues with its parent's traffic."""
        self._lock = threading.Lock()

    def requests(self, newest: int) -> list[RequestRecord]:
        """The newest requests, at most `newest`, oldest first."""
        with self._lock:
            kept = list(self._requests)
        return kept[-newest:]

    def heads(self) -> dict[str, list[float]]:
        """The means by head name, oldest first."""
        with self._lock:
            return {head: list(ring) for head, ring in self._heads.items()}
