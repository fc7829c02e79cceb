"""What comes due at which event time, in four bytes per entry.

All windows have the same length, so nearly everything that is due lies far ahead and close together. An entry far ahead
waits in the bucket of its time, unsorted, and the bucket is opened when the watermark enters it. Adding an entry and
opening a bucket take constant time per entry, however many entries wait.
"""

from __future__ import annotations

import heapq
from array import array

import numpy as np

from stream_processors.columns.array_types import Integers

BUCKETS_PER_WINDOW = 64
FAR = 2**63
"""An event time later than any."""


class TimerBuckets:
    """Numbers below 2^31 that are due at event times (ms); the same number may be entered several times."""

    def __init__(self, window_ms: int) -> None:
        self._grain = max(1, window_ms // BUCKETS_PER_WINDOW)
        self._waiting: dict[int, array[int]] = {}
        self._starts: list[int] = []
        self.next_opening = FAR
        """The event time from which `open_next` has something; FAR while nothing waits."""
        self.opened_end = -FAR * self._grain
        """Where the buckets that were opened end. The caller takes care of what is due before that."""

    def enter(self, time: int, number: int) -> bool:
        """Enters a number; False when the bucket of `time` is open already.

        This method defines what entering does; `enter_all` does the same for many.
        """
        if time < self.opened_end:
            return False
        bucket = time // self._grain
        entries = self._waiting.get(bucket)
        if entries is None:
            entries = self._add_bucket(bucket)
        entries.append(number)
        return True

    def enter_all(self, times: Integers, numbers: Integers) -> None:
        """Does `enter` for many numbers; none of their buckets may be open."""
        assert not len(times) or times.min() >= self.opened_end, "an open bucket takes nothing more"
        buckets = times // self._grain
        for bucket in np.unique(buckets).tolist():
            entries = self._waiting.get(bucket)
            if entries is None:
                entries = self._add_bucket(bucket)
            entries.frombytes(numbers[buckets == bucket].astype(np.int32).tobytes())

    def _add_bucket(self, bucket: int) -> array[int]:
        entries = self._waiting[bucket] = array("i")
        heapq.heappush(self._starts, bucket)
        self.next_opening = self._starts[0] * self._grain
        return entries

    def end_of(self, time: int) -> int:
        """Where the bucket of `time` ends."""
        return (time // self._grain + 1) * self._grain

    def open_next(self) -> list[int]:
        """Opens the first bucket in which something waits, and takes the numbers in it out, each once."""
        bucket = heapq.heappop(self._starts)
        self.next_opening = self._starts[0] * self._grain if self._starts else FAR
        self.opened_end = (bucket + 1) * self._grain
        return list(dict.fromkeys(self._waiting.pop(bucket)))

    def open_passed(self, watermark: int) -> list[int]:
        """Opens the buckets that end at or before `watermark`, all at once."""
        found: dict[int, None] = {}
        while self.next_opening + self._grain <= watermark:
            found.update(dict.fromkeys(self.open_next()))
        return list(found)
