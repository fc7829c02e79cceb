"""Rows in the order their decisions began, without an object for each.

A row is known here by the first offset of its decision, which is its own for ever; so the number of a row may be used
again while its former decision still stands in the order.
"""

from __future__ import annotations

from array import array
from bisect import bisect
from collections.abc import Iterator, Sequence

KEPT_BEHIND = 4_096
"""So many passed entries are kept before they are cut off, and no more than half of all."""


class ArrivalOrder:
    """A queue of (row, first offset), read from wherever a reader has got to."""

    def __init__(self) -> None:
        self._rows = array("i")
        self._offsets = array("q")
        self._cut = 0
        """Entries that were cut off: places count from the first entry ever."""

    def add(self, row: int, first_offset: int) -> int:
        """A decision begins in a row; returns its place. Those who read further on have missed it.

        Nearly always its first offset is larger than any before; else it comes before a few of the last.
        """
        index = len(self._rows)
        if index and self._offsets[-1] > first_offset:
            index = bisect(self._offsets, first_offset)
        self._rows.insert(index, row)
        self._offsets.insert(index, first_offset)
        return self._cut + index

    def add_all(self, rows: Sequence[int], first_offsets: Sequence[int]) -> None:
        """Decisions begin in these rows, at ascending offsets that are larger than any before."""
        assert not rows or not self._offsets or self._offsets[-1] < first_offsets[0], "they would not be the last"
        self._rows.extend(rows)
        self._offsets.extend(first_offsets)

    def since(self, place: int) -> Iterator[tuple[int, int, int]]:
        """Place, row and first offset of each entry from a place on; a place that was cut off means the first left."""
        for index in range(max(0, place - self._cut), len(self._rows)):
            yield self._cut + index, self._rows[index], self._offsets[index]

    @property
    def end(self) -> int:
        """The place of the next entry."""
        return self._cut + len(self._rows)

    def cut(self, place: int) -> None:
        """Nobody reads before this place any more."""
        passed = place - self._cut
        if passed > KEPT_BEHIND and 2 * passed > len(self._rows):
            del self._rows[:passed]
            del self._offsets[:passed]
            self._cut = place
