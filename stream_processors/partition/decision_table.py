"""The decisions of one partition as a table: one row each, columns of plain numbers and bytes.

Half a million decisions may wait in a partition at a time. As objects they would take more memory than their events and
every full garbage collection would visit them. As columns they cost a fixed number of bytes each and are not visited at
all. Only events that wait for another part of their decision have objects of their own.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.columns.array_types import Integers
from stream_processors.partition.arrival_order import ArrivalOrder
from stream_processors.partition.engagement_ids import Ids
from stream_processors.partition.held_parts import NEEDED, PARTS, Datums, HeldPart, HeldParts
from stream_processors.partition.row_index import RowIndex
from stream_processors.rule.input_event import InputEvent
from stream_processors.rule.join_rule import OutsideReason

HAVE = {name: 1 << place for place, name in enumerate(PARTS)}
"""The bit of each part a row has."""
NEEDED_BITS = sum(HAVE[name] for name in NEEDED)
PART_BITS = sum(HAVE.values())
NO_WATERMARK = -(2**63)
NO_OFFSET = -1
"""First offset of an unused row."""

FREE, OPEN, COMPLETE, CLOSED = range(4)
"""States of a row: unused; open; open with request, action and propensity; closed, and remembered for what comes after.

Plain numbers: they are compared for every event.
"""


class DecisionTable:
    """Rows of decisions by request_id. `PendingDecisions`, which keeps the rule, reads and writes the columns.

    A row's number is used again as soon as its decision is forgotten; the first offset tells which decision a row
    belongs to now. `lifts` is `Codec.lifts`.
    """

    def __init__(self, objectives: int, partition: int, lifts: Mapping[bytes, bytes]) -> None:
        self.topic = ""
        self._partition = partition
        self._no_totals = (0.0,) * objectives
        self.keys: list[bytes] = []
        """request_ids (UTF-8), empty in unused rows."""
        self.index = RowIndex(self.keys)
        """The rows of all remembered decisions."""
        self.states = bytearray()
        self.first_offsets = array("q")
        self.watermarks = array("q")
        """The partition's watermark before the decision's first event, or NO_WATERMARK."""
        self.oldest = array("q")
        """Smallest event time of all events, held or not (ms): nothing in the row is due until a window later."""
        self.have = bytearray()
        """Which parts have come, by the bits of `HAVE`."""
        self.claims = bytearray()
        """What the Actions and Propensities that were held claim about each other (`rule.claims`). Those of a part that
        was dropped since may stay: claims only say where to compare."""
        self.newest = array("q")
        """Largest event time of all events, held or not (ms)."""
        self.parts = HeldParts(lifts)
        self.request_offsets, self.request_times = array("q"), array("q")
        """Offset and event time (ms) of the request, in rows that have one."""
        self.seen: list[Ids | None] = []
        """The ids of the engagements that were tallied."""
        self.tallied = array("I")
        """How many engagements were tallied."""
        self.outside = tuple([array("I") for _ in OutsideReason])
        """How many of them count for no objective, by reason."""
        self.totals: list[tuple[float, ...]] = []
        """Sums of their values by objective."""
        self.early: dict[int, dict[str, InputEvent]] = {}
        """Engagements by id, in rows that cannot tally yet because a part is missing."""
        self._order = ArrivalOrder()
        self._remembered_from = self._open_from = 0
        """Places in the order. Every decision before the first is forgotten, every one before the second has closed."""
        self._free = array("q")

    def begin(self, key: bytes, offset: int, time: int, watermark: int | None) -> int:
        """A new open row for the decision whose first event has this offset and event time.

        This method defines what a new row looks like; `begin_all` does the same for many.
        """
        row = self._free.pop() if self._free else self._add_rows(1)
        self.keys[row] = key
        self.index.add(key, row)
        self.states[row], self.have[row], self.claims[row] = OPEN, 0, 0
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
        """Does `begin` for many decisions, whose first offsets ascend and are larger than any before.

        `watermarks` are NO_WATERMARK where there was none.
        """
        count = len(keys)
        kept = max(0, len(self._free) - count)
        rows = self._free[kept:].tolist()
        del self._free[kept:]
        if len(rows) < count:
            first = self._add_rows(count - len(rows))
            rows += range(first, len(self.keys))
        for row, key in zip(rows, keys, strict=True):
            self.keys[row] = key
        self._order.add_all(rows, offsets)
        at = np.array(rows, np.int64)
        self.index.add_all(keys, at)
        np.frombuffer(self.states, np.uint8)[at] = OPEN
        for bits in (self.have, self.claims):
            np.frombuffer(bits, np.uint8)[at] = 0
        np.frombuffer(self.first_offsets, np.int64)[at] = offsets
        np.frombuffer(self.watermarks, np.int64)[at] = watermarks
        for column in (self.oldest, self.newest):
            np.frombuffer(column, np.int64)[at] = times
        return at

    def events_in(self, row: int) -> list[InputEvent]:
        """The events of an incomplete row, by offset; their append time is not kept and reads 0."""
        parts = [part for name in PARTS if (part := self.part_event(row, name)) is not None]
        return sorted([*parts, *self.early.get(row, {}).values()], key=lambda event: event.record.offset)

    def part_event(self, row: int, name: str) -> InputEvent | None:
        """One part of an incomplete row as an event; None when it is missing."""
        held = self.parts.alone(row, name)
        return None if held is None else self.event_of(row, name, held, self.parts.resolved.get((row, name)))

    def event_of(self, row: int, name: str, part: HeldPart, resolved: bytes | None) -> InputEvent:
        """A part as an event of its decision; `resolved` is its datum in the newest schema if it cannot be lifted."""
        value, offset, time = part
        record = LogRecord(self.topic, self._partition, offset, 0, self.keys[row], value)
        return InputEvent(record, name, self.keys[row].decode(), time, self.parts.newest_datum(value, resolved))

    def hold_part(self, row: int, name: str, part: HeldPart, resolved: bytes | None = None) -> None:
        """Adds a part that the row lacks; `resolved` is its datum in the newest schema if it cannot be lifted."""
        self.parts.keep_part(row, name, part, resolved)
        self.have[row] |= HAVE[name]
        if name == r.REQUEST:
            _, self.request_offsets[row], self.request_times[row] = part

    def note_parts(self, name: str, rows: Integers, offsets: Integers, times: Integers) -> None:
        """Does what `hold_part` does to the columns, for one part of each of many rows.

        The caller has `parts` keep the values.
        """
        np.frombuffer(self.have, np.uint8)[rows] |= HAVE[name]
        if name == r.REQUEST:
            np.frombuffer(self.request_offsets, np.int64)[rows] = offsets
            np.frombuffer(self.request_times, np.int64)[rows] = times

    def mark_complete(self, rows: Sequence[int], datums: Iterable[Datums] | None = None) -> None:
        """Request, action and propensity of these rows are there: in `datums`, or else among the parts that are kept.

        Give the rows in the order in which they close, if possible.
        """
        self.parts.put_in_blocks(rows, datums)
        for row in rows:
            self.states[row] = COMPLETE

    def drop_part(self, row: int, name: str) -> None:
        """Lets one part of an incomplete row go."""
        self.parts.drop(row, name)
        self.have[row] &= ~HAVE[name]

    def holds_anything(self, row: int) -> bool:
        """Whether an incomplete row has any part, or any engagement that is not tallied."""
        return self.parts.holds_alone(row) or bool(self.early.get(row))

    def release_unfinished(self, row: int) -> None:
        """Lets everything in an incomplete row go; key, times and state stay."""
        for name in PARTS:
            self.parts.drop(row, name)
        self.early.pop(row, None)

    def release(self, rows: Sequence[int]) -> None:
        """Lets everything in complete rows go; key, times and state stay."""
        self.parts.drop_blocks(rows)
        tallied, no_totals = self.tallied, self._no_totals
        for row in rows:
            if tallied[row]:
                self.seen[row], self.totals[row] = None, no_totals
                tallied[row] = 0
                for numbers in self.outside:
                    numbers[row] = 0

    def forget(self, row: int) -> None:
        """Frees a row whose events were released."""
        self.index.remove(row)
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
        """Place and row of the first wanted entry whose decision is still in its row; the end if there is none."""
        for at, row, first_offset in self._order.since(place):
            if self.first_offsets[row] == first_offset and wanted(row):
                return at, row
        return self._order.end, None

    def _add_rows(self, count: int) -> int:
        """Adds this many free rows; returns the first."""
        first = len(self.keys)
        self.keys += [b""] * count
        self.states += bytes([FREE]) * count
        self.have += bytes(count)
        self.claims += bytes(count)
        self.first_offsets.extend([NO_OFFSET] * count)
        times = (self.watermarks, self.oldest, self.newest, self.request_offsets, self.request_times)
        for column in (*times, self.tallied, *self.outside):
            column.frombytes(bytes(column.itemsize * count))
        self.parts.add_rows(count)
        self.seen += [None] * count
        self.totals += [self._no_totals] * count
        return first
