"""The decisions of one partition as a table: one row each, columns of plain numbers and bytes.

Half a million decisions may wait in a partition at a time. As objects, with an integer object for every offset and
time, they would take more memory than their events and be visited by every full garbage collection; as columns they
cost a fixed number of bytes each and are not visited at all. Once a decision is complete, its request, action and
propensity are one bytes object: the beginning of its example.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from event_schemas import records as r
from event_schemas.codec import HEADER
from event_schemas.log_record import LogRecord
from stream_processors.arrival_order import ArrivalOrder
from stream_processors.block_walk import Integers
from stream_processors.engagement_ids import Ids
from stream_processors.input_event import InputEvent

PARTS = (r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING)
NEEDED = PARTS[:3]
"""Without these there is no example; their order in it."""
HAVE = {name: 1 << place for place, name in enumerate(PARTS)}
"""The bit of each part a row has."""
NEEDED_BITS = sum(HAVE[name] for name in NEEDED)
FRAMING = HEADER.size
NO_WATERMARK = -(2**63)
NO_OFFSET = -1
"""First offset of an unused row."""


FREE, OPEN, COMPLETE, CLOSED = range(4)
"""States of a row: unused; open; open with request, action and propensity; closed, and remembered for what comes after.

Plain numbers: they are compared for every event.
"""


class PartColumn:
    """One part of every decision: its value as it came, where it stood in the log and when it happened."""

    __slots__ = ("offsets", "times", "values")

    def __init__(self) -> None:
        self.values: list[bytes | None] = []
        self.offsets = array("q")
        self.times = array("q")

    def add_rows(self, count: int) -> None:
        """Rows without this part."""
        self.values += [None] * count
        for column in (self.offsets, self.times):
            column.frombytes(bytes(column.itemsize * count))


class DecisionTable:
    """Rows of decisions by request_id; columns are read and written by whoever keeps the rule.

    A row's number is used again as soon as its decision is forgotten; which decision it belongs to, the first offset
    tells.
    """

    def __init__(self, objectives: int, partition: int) -> None:
        self.topic = ""
        self._partition = partition
        self._no_totals = (0.0,) * objectives
        self.by_key: dict[bytes, int] = {}
        """Row by request_id (UTF-8), of all remembered decisions."""
        self.keys: list[bytes] = []
        self.states = bytearray()
        self.first_offsets = array("q")
        self.watermarks = array("q")
        """The partition's watermark before the first event, or NO_WATERMARK."""
        self.oldest = array("q")
        """Smallest event time of all events, held or not (ms): nothing of the row is due until a window later."""
        self.have = bytearray()
        """Which parts have come, by the bits of `HAVE`."""
        self.newest = array("q")
        """Largest event time of all events, held or not (ms)."""
        self.parts = {name: PartColumn() for name in PARTS}
        self._values = [column.values for column in self.parts.values()]
        self._needed_values = [self.parts[name].values for name in NEEDED]
        self.datums: list[bytes | None] = []
        """Of complete rows the datums of request, action and propensity in the newest schemas, one behind the other."""
        self._request_sizes, self._action_sizes = array("I"), array("I")
        """How many bytes of `datums` are the request, and the action."""
        self._framings: dict[str, bytes] = {}
        """Those of the newest schemas, known once a decision was complete."""
        self.seen: list[Ids | None] = []
        """engagement_ids that were tallied."""
        self.tallied = array("I")
        """How many they are."""
        self.outside = array("I")
        """How many of the tallied count for no objective."""
        self.totals: list[tuple[float, ...]] = []
        """Sums by objective of what was tallied."""
        self.early: dict[int, dict[str, InputEvent]] = {}
        """Engagements by id, of rows that cannot tally yet because a part is missing."""
        self.resolved: dict[tuple[int, str], bytes] = {}
        """Datums in the newest schema of parts that were written with an older one."""
        self._order = ArrivalOrder()
        self._remembered_from = self._open_from = 0
        """Places in the order: every decision before is forgotten, or at least closed."""
        self._free = array("q")

    def begin(self, key: bytes, offset: int, time: int, watermark: int | None) -> int:
        """A new open row for the decision whose first event has this offset and event time."""
        row = self._free.pop() if self._free else self._add_rows(1)
        self.by_key[key] = row
        self.keys[row] = key
        self.states[row], self.have[row] = OPEN, 0
        self.first_offsets[row] = offset
        self.watermarks[row] = NO_WATERMARK if watermark is None else watermark
        self.oldest[row] = self.newest[row] = time
        place = self._order.add(row, offset)
        if place < self._open_from:
            self._open_from = place
        if place < self._remembered_from:
            self._remembered_from = place
        return row

    def begin_all(
        self, keys: Sequence[bytes], offsets: Sequence[int], times: Integers, watermarks: Integers
    ) -> Integers:
        """The same for many decisions whose first offsets ascend and are larger than any before.

        `watermarks` are NO_WATERMARK where there was none.
        """
        count = len(keys)
        kept = max(0, len(self._free) - count)
        rows = self._free[kept:].tolist()
        del self._free[kept:]
        if len(rows) < count:
            first = self._add_rows(count - len(rows))
            rows += range(first, len(self.keys))
        self.by_key.update(zip(keys, rows, strict=True))
        for row, key in zip(rows, keys, strict=True):
            self.keys[row] = key
        self._order.add_all(rows, offsets)
        at = np.array(rows, np.int64)
        np.frombuffer(self.states, np.uint8)[at] = OPEN
        np.frombuffer(self.have, np.uint8)[at] = 0
        np.frombuffer(self.first_offsets, np.int64)[at] = offsets
        np.frombuffer(self.watermarks, np.int64)[at] = watermarks
        for column in (self.oldest, self.newest):
            np.frombuffer(column, np.int64)[at] = times
        return at

    def held(self, row: int) -> list[InputEvent]:
        """The events of an incomplete row, by offset; their append time is not kept and reads 0."""
        parts = [part for name in PARTS if (part := self.part(row, name)) is not None]
        return sorted([*parts, *self.early.get(row, {}).values()], key=lambda event: event.record.offset)

    def part(self, row: int, name: str) -> InputEvent | None:
        """One part of an incomplete row as an event; None when it is missing."""
        column = self.parts[name]
        value = column.values[row]
        if value is None:
            return None
        key = self.keys[row]
        record = LogRecord(self.topic, self._partition, column.offsets[row], 0, key, value)
        return InputEvent(record, name, key.decode(), column.times[row], None, self.resolved.get((row, name)))

    def first_value(self, row: int, name: str) -> bytes | None:
        """A part that has come, as it came."""
        value, datums = self.parts[name].values[row], self.datums[row]
        if value is not None or datums is None:
            return value
        request, action = self._request_sizes[row], self._action_sizes[row]
        ends = (0, request, request + action, len(datums))
        place = NEEDED.index(name)
        return self._framings[name] + datums[ends[place] : ends[place + 1]]

    def complete(self, rows: Sequence[int]) -> None:
        """Request, action and propensity are there: from here on they are one.

        Parts of an older schema also stay as they came, for what may be a second copy of them.
        """
        requests, actions, propensities = self._needed_values
        datums, request_sizes, action_sizes = self.datums, self._request_sizes, self._action_sizes
        for row in rows:
            self.states[row] = COMPLETE
            if self.resolved and any((row, name) in self.resolved for name in NEEDED):
                self._complete_resolved(row)
                continue
            request, action, propensity = requests[row] or b"", actions[row] or b"", propensities[row] or b""
            datums[row] = b"".join((request[FRAMING:], action[FRAMING:], propensity[FRAMING:]))
            requests[row] = actions[row] = propensities[row] = None
            request_sizes[row], action_sizes[row] = len(request) - FRAMING, len(action) - FRAMING
            if not self._framings:
                named = zip(NEEDED, (request, action, propensity), strict=True)
                self._framings = {name: value[:FRAMING] for name, value in named}

    def _complete_resolved(self, row: int) -> None:
        named = [(name, self.parts[name].values[row] or b"") for name in NEEDED]
        self.datums[row] = b"".join([self.resolved.pop((row, name), value[FRAMING:]) for name, value in named])

    def drop_part(self, row: int, name: str) -> None:
        """Lets go of one part."""
        self.parts[name].values[row] = None
        self.have[row] &= ~HAVE[name]
        if self.resolved:
            self.resolved.pop((row, name), None)

    def holds_anything(self, row: int) -> bool:
        """Whether an incomplete row has any part, or an engagement that is not tallied."""
        for values in self._values:
            if values[row] is not None:
                return True
        return bool(self.early.get(row))

    def release(self, rows: Sequence[int]) -> None:
        """Lets go of all that these rows hold; key, times and state stay."""
        for values in (self.datums, *self._values):
            for row in rows:
                values[row] = None
        if self.resolved:
            for row, name in product(rows, PARTS):
                self.resolved.pop((row, name), None)
        if self.early:
            for row in rows:
                self.early.pop(row, None)
        tallied, no_totals = self.tallied, self._no_totals
        for row in rows:
            if tallied[row]:
                self.seen[row], self.totals[row] = None, no_totals
                tallied[row] = self.outside[row] = 0

    def forget(self, row: int) -> None:
        """Ends a released row."""
        key = self.keys[row]
        if self.by_key.get(key) == row:
            del self.by_key[key]
        self.states[row] = FREE
        self.first_offsets[row] = NO_OFFSET
        self.keys[row] = b""
        self._free.append(row)

    def is_open(self, row: int) -> bool:
        """Whether the decision has not closed."""
        return self.states[row] in (OPEN, COMPLETE)

    def first_open(self) -> int | None:
        """The open row with the lowest first offset."""
        self._open_from, row = self._next(self._open_from, self.is_open)
        return row

    def first_remembered(self, since: int) -> int | None:
        """The row with the lowest first offset that is open or has an event of this time or later (ms).

        `since` never falls from one call to the next.
        """
        newest = self.newest
        self._remembered_from, row = self._next(
            self._remembered_from, lambda row: newest[row] >= since or self.is_open(row)
        )
        self._order.cut(self._remembered_from)
        return row

    def _next(self, place: int, wanted: Callable[[int], bool]) -> tuple[int, int | None]:
        """The first wanted row that still holds the decision that began in it, and its place in the order."""
        for at, row, first_offset in self._order.since(place):
            if self.first_offsets[row] == first_offset and wanted(row):
                return at, row
        return self._order.end, None

    def _add_rows(self, count: int) -> int:
        """So many free rows; returns the first."""
        first = len(self.keys)
        self.keys += [b""] * count
        self.states += bytes([FREE]) * count
        self.have += bytes(count)
        self.first_offsets.extend([NO_OFFSET] * count)
        sizes = (self._request_sizes, self._action_sizes, self.tallied, self.outside)
        for column in (self.watermarks, self.oldest, self.newest, *sizes):
            column.frombytes(bytes(column.itemsize * count))
        for part in self.parts.values():
            part.add_rows(count)
        self.datums += [None] * count
        self.seen += [None] * count
        self.totals += [self._no_totals] * count
        return first
