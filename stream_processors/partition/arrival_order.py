"""Rows in the order in which their decisions began, without an object for each.

Each entry has the first offset of its decision, which no other decision ever has. So the number of a row may be used
again while the entry of its former decision still stands in the order.
"""

from __future__ import annotations

from array import array
from bisect import bisect
from collections.abc import Iterator, Sequence

KEPT_BEHIND = 4_096
"""Passed entries are cut off once there are more than this many and they are more than half of all."""


class ArrivalOrder:
    """A queue of (row, first offset); each reader reads on from its own place."""

    def __init__(self) -> None:
        self._rows = array("i")
        self._offsets = array("q")
        self._cut = 0
        """How many entries were cut off: places count from the first entry ever."""

    def add(self, row: int, first_offset: int) -> int:
        """A decision begins in a row; returns its place. A reader that is past this place has missed it.

        Its first offset is nearly always the largest so far; otherwise the entry goes before a few of the last ones.
        """
        index = len(self._rows)
        if index and self._offsets[-1] > first_offset:
            index = bisect(self._offsets, first_offset)
        self._rows.insert(index, row)
        self._offsets.insert(index, first_offset)
        return self._cut + index

    def add_all(self, rows: Sequence[int], first_offsets: Sequence[int]) -> None:
        """Does `add` for many decisions, at ascending offsets that are larger than any before."""
        assert not rows or not self._offsets or self._offsets[-1] < first_offsets[0], "they would not be the last"
        self._rows.extend(rows)
        self._offsets.extend(first_offsets)

    def since(self, place: int) -> Iterator[tuple[int, int, int]]:
        """Place, row and first offset of each entry from a place on, or from the first entry that was not cut off."""
        for index in range(max(0, place - self._cut), len(self._rows)):
            yield self._cut + index, self._rows[index], self._offsets[index]

    @property
    def end(self) -> int:
        """The place of the next entry."""
        return self._cut + len(self._rows)

    def cut(self, place: int) -> None:
        """Lets entries before this place go: no reader will ask for them again."""
        passed = place - self._cut
        if passed > KEPT_BEHIND and 2 * passed > len(self._rows):
            del self._rows[:passed]
            del self._offsets[:passed]
            self._cut = place
