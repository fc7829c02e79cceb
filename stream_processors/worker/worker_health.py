"""The health of a join worker: alive while its event loop runs, ready while it processes its partitions.

The event loop writes the state and the HTTP server's threads read it; each write is a single assignment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

BEAT_SECONDS = 0.5
ALIVE_SECONDS = 5.0
"""The event loop counts as stuck when it has not run for this long."""
START_SECONDS = 60.0
"""The same limit until the loop has run once, because looking up topics on a slow broker takes time."""
STALLED_SECONDS = 10.0
"""The producer counts as stalled when outputs wait and none has been confirmed for this long."""


class WorkerHealth:
    """`clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turned = clock()
        self._limit = START_SECONDS
        self._assigned = False
        self._rebuilding: dict[int, int] = {}
        self._producer: str | None = None
        self._topics: list[str] = []
        self._stopping = False

    async def beat(self) -> None:
        """Record that the event loop runs; a task of that loop for as long as it runs."""
        while True:
            self._turned, self._limit = self._clock(), ALIVE_SECONDS
            await asyncio.sleep(BEAT_SECONDS)

    def assigned(self, *_: object, **__: object) -> None:
        """The group has assigned this worker its partitions (none if there are more workers than partitions)."""
        self._assigned = True

    def revoked(self, *_: object, **__: object) -> None:
        """A rebalance began."""
        self._assigned = False

    def rebuilding(self, records: Mapping[int, int]) -> None:
        """Set how many records each partition must still read to rebuild its state."""
        self._rebuilding = {partition: left for partition, left in records.items() if left}

    def writing(self, failure: Exception | None, stalled_seconds: float, outstanding: int) -> None:
        """Set the producer's state: its failure, the time without a confirmation, and the number of waiting outputs."""
        if failure is not None:
            self._producer = f"producer failed: {failure}"
        elif outstanding and stalled_seconds > STALLED_SECONDS:
            self._producer = f"{outstanding} outputs wait for the broker, none confirmed for {stalled_seconds:.0f} s"
        else:
            self._producer = None

    def topics(self, reasons: list[str]) -> None:
        """Set what is wrong with the topics, as text."""
        self._topics = reasons

    def stopping(self) -> None:
        """The worker was told to stop."""
        self._stopping = True

    def unhealthy(self) -> list[str]:
        """Why the worker should be killed and restarted; empty while it is alive."""
        silent = self._clock() - self._turned
        return [] if silent <= self._limit else [f"the event loop has not run for {silent:.0f} s"]

    def unready(self) -> list[str]:
        """Why the worker is not processing its partitions now; empty while it is."""
        reasons = self.unhealthy()
        if self._stopping:
            reasons.append("stopping")
        if not self._assigned:
            reasons.append("no partitions assigned yet")
        reasons += [f"partition {p}: {left} records left to rebuild" for p, left in sorted(self._rebuilding.items())]
        reasons += self._topics
        if self._producer is not None:
            reasons.append(self._producer)
        return reasons
