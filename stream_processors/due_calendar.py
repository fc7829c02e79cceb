"""What comes due at which event time, at eight bytes an entry.

Windows have one length, so nearly all that is due lies far ahead and close together. Entries far ahead only stand in
the bucket of their time, unsorted; a bucket is opened when the watermark enters it. Adding and opening take constant
time however many entries wait.
"""

from __future__ import annotations

import heapq

BUCKETS_PER_WINDOW = 64
FAR = 2**63
"""Later than any event time."""


class DueCalendar:
    """Numbers to look at again at an event time (ms); the same number may be entered several times."""

    def __init__(self, window_ms: int) -> None:
        self._grain = max(1, window_ms // BUCKETS_PER_WINDOW)
        self._waiting: dict[int, list[int]] = {}
        self._starts: list[int] = []
        self._opened = -FAR
        self.next_opening = FAR
        """The event time from which `open_until` has something; FAR while nothing waits."""

    def is_open(self, time: int) -> bool:
        """Whether the bucket of `time` has been opened."""
        return time // self._grain <= self._opened

    def enter(self, time: int, number: int) -> bool:
        """Enter a number; False when the bucket of `time` is open already: it is then the caller's to look after."""
        bucket = time // self._grain
        if bucket <= self._opened:
            return False
        entries = self._waiting.get(bucket)
        if entries is None:
            self._waiting[bucket] = [number]
            heapq.heappush(self._starts, bucket)
            self.next_opening = self._starts[0] * self._grain
        else:
            entries.append(number)
        return True

    def open_until(self, watermark: int) -> list[int]:
        """Opens every bucket that begins at or before `watermark` and takes out the numbers in them, each once."""
        self._opened = max(self._opened, watermark // self._grain)
        found: dict[int, None] = {}
        while self._starts and self._starts[0] <= self._opened:
            found.update(dict.fromkeys(self._waiting.pop(heapq.heappop(self._starts))))
        self.next_opening = self._starts[0] * self._grain if self._starts else FAR
        return list(found)
