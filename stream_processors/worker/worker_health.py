"""What a join worker says about itself: alive while its event loop turns, ready while it does its share.

The loop's side notes, the HTTP server's threads ask; each note is one assignment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

BEAT_SECONDS = 0.5
ALIVE_SECONDS = 5.0
"""The event loop is stuck when it has not turned for so long."""
START_SECONDS = 60.0
"""Before it has turned at all: looking up topics with a slow broker takes its time."""
STALLED_SECONDS = 10.0
"""The producer is not healthy when something waits and nothing has been confirmed for so long."""


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
        """Runs as a task of the worker's event loop for as long as that does."""
        while True:
            self._turned, self._limit = self._clock(), ALIVE_SECONDS
            await asyncio.sleep(BEAT_SECONDS)

    def assigned(self, *_: object, **__: object) -> None:
        """The group gave this worker its partitions (none, when there are more workers than partitions)."""
        self._assigned = True

    def revoked(self, *_: object, **__: object) -> None:
        """A rebalance began."""
        self._assigned = False

    def rebuilding(self, records: Mapping[int, int]) -> None:
        """How many records each partition has yet to read before its results count."""
        self._rebuilding = {partition: left for partition, left in records.items() if left}

    def writing(self, failure: Exception | None, stalled_seconds: float, outstanding: int) -> None:
        """How the producer does."""
        if failure is not None:
            self._producer = f"producer failed: {failure}"
        elif outstanding and stalled_seconds > STALLED_SECONDS:
            self._producer = f"{outstanding} outputs wait for the broker, none confirmed for {stalled_seconds:.0f} s"
        else:
            self._producer = None

    def topics(self, reasons: list[str]) -> None:
        """What is wrong with the topics, in words."""
        self._topics = reasons

    def stopping(self) -> None:
        """It was told to end."""
        self._stopping = True

    def unhealthy(self) -> list[str]:
        """Why it should be killed and started again; empty while it is alive."""
        silent = self._clock() - self._turned
        return [] if silent <= self._limit else [f"the event loop has not turned for {silent:.0f} s"]

    def unready(self) -> list[str]:
        """Why it does not do its share of the join now; empty while it does."""
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
