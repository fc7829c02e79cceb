"""Finds the rows of keys, many at a time, in 8 to 24 bytes per row (counting the most rows it has ever held).

A dict takes about a hundred bytes per row, including an integer object. This is the textbook hash table with open
addressing: slots hold row numbers, and probing moves in steps that also come from the hash. The keys are those of the
table; a slot only says which of them to compare. At most half of the slots are in use, so probing ends soon.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from operator import eq

import numpy as np

from stream_processors.columns.array_types import Integers

EMPTY, GONE = -1, -2
"""Slots that were never used, and slots whose row was removed; probing goes on past the latter."""
UNKNOWN = -1
"""The row of a key that has none."""
LEAST_SLOTS = 64
SLOTS_PER_ROW = 3
"""There are at least this many after a rebuild."""
MOVED_AT_ONCE = 50_000
"""Rows that are moved to new slots in one go, so that moving takes little memory."""
STEP_SHIFT = 20
"""Steps come from higher bits of the hash than those that choose the first slot."""


class RowIndex:
    """Rows by key. Row r has the key `keys[r]`, in the caller's list; a key stays there while it is known."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self._slots = array("i", [EMPTY]) * LEAST_SLOTS
        self._mask = LEAST_SLOTS - 1
        self._rows = self._used = 0
        """How many rows are known, and how many slots are not empty."""

    def __len__(self) -> int:
        return self._rows

    def get(self, key: bytes) -> int | None:
        """The row of a key; None when it is unknown."""
        slots, keys, mask, hashed = self._slots, self._keys, self._mask, hash(key)
        place, step = hashed & mask, hashed >> STEP_SHIFT | 1
        while (row := slots[place]) != EMPTY:
            if row >= 0 and keys[row] == key:
                return row
            place = place + step & mask
        return None

    def get_all(self, keys: Sequence[bytes | None]) -> Integers:
        """The rows of many keys, UNKNOWN where one is unknown or None."""
        found, asked = np.full(len(keys), UNKNOWN, np.int64), np.arange(len(keys))
        slots, places, steps = np.frombuffer(self._slots, np.int32), *self._probe(keys)
        while asked.size:
            rows = slots[places]
            (there,) = np.nonzero(rows >= 0)
            theirs = map(self._keys.__getitem__, rows[there].tolist())
            same = np.fromiter(map(eq, theirs, map(keys.__getitem__, asked[there].tolist())), np.bool_, there.size)
            hit = there[same]
            found[asked[hit]] = rows[hit]
            on = rows != EMPTY
            on[hit] = False
            asked, steps = asked[on], steps[on]
            places = places[on] + steps & self._mask
        return found

    def add(self, key: bytes, row: int) -> None:
        """Makes the row of a key known, which has none yet.

        This method defines what adding does; `add_all` does the same for many.
        """
        self._make_room(1)
        slots, mask, hashed = self._slots, self._mask, hash(key)
        place, step = hashed & mask, hashed >> STEP_SHIFT | 1
        while slots[place] >= 0:
            place = place + step & mask
        self._used += slots[place] == EMPTY
        self._rows += 1
        slots[place] = row

    def add_all(self, keys: Sequence[bytes], rows: Integers) -> None:
        """Does `add` for many keys, all different."""
        self._make_room(len(keys))
        slots, places, steps = np.frombuffer(self._slots, np.int32), *self._probe(keys)
        self._rows += len(keys)
        while rows.size:
            before = slots[places]
            free = before < 0
            slots[places[free]] = rows[free]
            # If several rows take one slot at a time, the last one gets it and the others go on.
            placed = free & (slots[places] == rows)
            self._used += int(np.count_nonzero(placed & (before == EMPTY)))
            rows, steps = rows[~placed], steps[~placed]
            places = places[~placed] + steps & self._mask

    def remove(self, row: int) -> None:
        """Forgets a row, by its key; raises KeyError when it is not known."""
        slots, mask, hashed = self._slots, self._mask, hash(self._keys[row])
        place, step = hashed & mask, hashed >> STEP_SHIFT | 1
        while (found := slots[place]) != row:
            if found == EMPTY:
                raise KeyError(row)
            place = place + step & mask
        slots[place] = GONE
        self._rows -= 1

    def _probe(self, keys: Sequence[bytes | None]) -> tuple[Integers, Integers]:
        """Where to look first for each key, and in which steps to go on."""
        hashes = np.fromiter(map(hash, keys), np.int64, len(keys))
        return hashes & self._mask, hashes >> STEP_SHIFT | 1

    def _make_room(self, count: int) -> None:
        """Moves all rows to more slots if `count` more rows would fill over half of them."""
        if 2 * (self._used + count) <= len(self._slots):
            return
        slots = np.frombuffer(self._slots, np.int32)
        rows = slots[slots >= 0].astype(np.int64)
        size = max(LEAST_SLOTS, 1 << (SLOTS_PER_ROW * (self._rows + count) - 1).bit_length())
        self._slots, self._mask = array("i", [EMPTY]) * size, size - 1
        self._rows = self._used = 0
        for start in range(0, len(rows), MOVED_AT_ONCE):
            moved = rows[start : start + MOVED_AT_ONCE]
            self.add_all([self._keys[row] for row in moved.tolist()], moved)
