"""The decisions of one partition as a table: one row each, columns of plain numbers and bytes.

Half a million decisions may wait in a partition at a time. As objects, with an integer object for every offset and
time, they would take more memory than their events and be visited by every full garbage collection; as columns they
cost a fixed number of bytes each and are not visited at all.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.arrival_order import ArrivalOrder
from stream_processors.input_event import InputEvent

PARTS = (r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING)
NEEDED = frozenset({r.REQUEST, r.ACTION, r.PROPENSITY})
"""Without these there is no example."""
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

    def add_row(self) -> None:
        """A row without this part."""
        self.values.append(None)
        self.offsets.append(0)
        self.times.append(0)


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
        self.missing = bytearray()
        """How many of request, action and propensity have not come."""
        self.newest = array("q")
        """Largest event time of all events, held or not (ms)."""
        self.parts = {name: PartColumn() for name in PARTS}
        self._values = [column.values for column in self.parts.values()]
        self.seen: list[tuple[str, ...] | set[str]] = []
        """engagement_ids that were tallied."""
        self.totals: list[tuple[float, ...]] = []
        """Sums by objective of what was tallied."""
        self.outside = array("q")
        """How many of the tallied count for no objective."""
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
        row = self._free.pop() if self._free else self._add_row()
        self.by_key[key] = row
        self.keys[row] = key
        self.states[row], self.missing[row] = OPEN, len(NEEDED)
        self.first_offsets[row] = offset
        self.watermarks[row] = NO_WATERMARK if watermark is None else watermark
        self.oldest[row] = self.newest[row] = time
        self._order.append(row, offset)
        return row

    def held(self, row: int) -> list[InputEvent]:
        """The events of a row that were not tallied, by offset; their append time is not kept and reads 0."""
        parts = [part for name in PARTS if (part := self.part(row, name)) is not None]
        return sorted([*parts, *self.early.get(row, {}).values()], key=lambda event: event.record.offset)

    def part(self, row: int, name: str) -> InputEvent | None:
        """One part of a row as an event; None when it is missing."""
        column = self.parts[name]
        value = column.values[row]
        if value is None:
            return None
        key = self.keys[row]
        record = LogRecord(self.topic, self._partition, column.offsets[row], 0, key, value)
        return InputEvent(record, name, key.decode(), column.times[row], None, self.resolved.get((row, name)))

    def drop_part(self, row: int, name: str) -> None:
        """Lets go of one part."""
        self.parts[name].values[row] = None
        self.missing[row] += name in NEEDED
        if self.resolved:
            self.resolved.pop((row, name), None)

    def holds_anything(self, row: int) -> bool:
        """Whether a row has any part, or an engagement that is not tallied."""
        for values in self._values:
            if values[row] is not None:
                return True
        return bool(self.early.get(row))

    def release(self, row: int) -> None:
        """Lets go of all that a row holds; key, times and state stay."""
        for values in self._values:
            values[row] = None
        if self.resolved:
            for name in PARTS:
                self.resolved.pop((row, name), None)
        if self.early:
            self.early.pop(row, None)
        if self.seen[row]:
            self.seen[row], self.totals[row], self.outside[row] = (), self._no_totals, 0

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

    def first_remembered(self) -> int | None:
        """The remembered row with the lowest first offset."""
        self._remembered_from, row = self._next(self._remembered_from, lambda _: True)
        self._order.cut(self._remembered_from)
        return row

    def _next(self, place: int, wanted: Callable[[int], bool]) -> tuple[int, int | None]:
        """The first wanted row that still holds the decision that began in it, and its place in the order."""
        for at, row, first_offset in self._order.since(place):
            if self.first_offsets[row] == first_offset and wanted(row):
                return at, row
        return self._order.end, None

    def _add_row(self) -> int:
        self.keys.append(b"")
        self.states.append(FREE)
        self.missing.append(0)
        self.first_offsets.append(NO_OFFSET)
        for column in (self.watermarks, self.oldest, self.newest, self.outside):
            column.append(0)
        for part in self.parts.values():
            part.add_row()
        self.seen.append(())
        self.totals.append(self._no_totals)
        return len(self.keys) - 1
