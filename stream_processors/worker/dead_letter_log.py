"""Log lines about dead letters, sampled so that many broken events do not flood the log.

The first dead letter of each reason in a partition gets a line. After that there is at most one line a second, with
the number of letters left out since the last line. Every line names partition, offset and request_id;
`trimtab dead-letters list` shows all letters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from stream_processors.partition.partition_join import Emission

PAUSE_SECONDS = 1.0
log = structlog.get_logger(__name__)


class DeadLetterLog:
    """`clock` counts seconds; `tell` writes one log line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, tell: Callable[..., object] | None = None) -> None:
        self._clock = clock
        self._tell = tell or log.warning
        self._seen: set[tuple[int, str]] = set()
        self._next = clock()
        self._untold = 0

    def note(self, partition: int, emissions: Sequence[Emission]) -> None:
        """Log the dead letters among the outputs of one chunk."""
        for emission in emissions:
            if emission.reason is None:
                continue
            kind = (partition, emission.reason.value)
            now = self._clock()
            if kind in self._seen and now < self._next:
                self._untold += 1
                continue
            self._seen.add(kind)
            self._next = now + PAUSE_SECONDS
            self._tell(
                "dead letter",
                reason=emission.reason.value,
                partition=partition,
                offset=emission.source_offset,
                request_id=emission.request_id,
                untold=self._untold,
            )
            self._untold = 0
