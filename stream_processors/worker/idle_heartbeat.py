"""Heartbeats for partitions whose traffic has stopped, so that their decisions still close."""

from __future__ import annotations

from collections.abc import Iterable

IDLE_MS = 5_000


class IdleHeartbeat:
    """Decides when a partition has been at the end of its log for `idle_ms` (pure; times in milliseconds).

    A heartbeat is a record too: once it has been read, the partition is at the end of its log again, and the next
    heartbeat is due after another `idle_ms`.
    """

    def __init__(self, producer_delay_ms: int, idle_ms: int = IDLE_MS) -> None:
        self._producer_delay_ms = producer_delay_ms
        self._idle_ms = idle_ms
        self._idle_since: dict[int, tuple[int, int]] = {}

    def due(self, partition: int, reached: int, log_end: int, now: int) -> int | None:
        """The event time to assert in this partition, or None.

        `reached` is the next offset to process, `log_end` the offset after the last record. Producers may delay events
        by `producer_delay_ms`, so the asserted time is `now` minus that delay.
        """
        if reached < log_end:
            self._idle_since.pop(partition, None)
            return None
        since = self._idle_since.get(partition)
        if since is None or since[0] != log_end:
            self._idle_since[partition] = (log_end, now)
            return None
        if now - since[1] < self._idle_ms:
            return None
        self._idle_since[partition] = (log_end, now)
        return now - self._producer_delay_ms

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget all other partitions."""
        owned = set(partitions)
        self._idle_since = {p: since for p, since in self._idle_since.items() if p in owned}
