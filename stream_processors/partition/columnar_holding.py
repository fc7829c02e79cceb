"""Holds the plain events of a chunk in columns: those on which nothing depends but the row they go to.

Decisions depend on each other through the watermark alone, whose course is known beforehand. So an event is plain when
its decision does not end within the chunk, has not closed, and is given no part twice; in whatever order such events
are held, their rows come out the same. All others are left to be held one by one, which is the definition. A chunk is
left whole where the cap might be reached, with parts of an older schema in it, or at the end of 64-bit time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from stream_processors.columns.array_types import Integers, Mask
from stream_processors.columns.validated_records import ENGAGEMENT, HEARTBEAT, NAMES, ValidatedRecords
from stream_processors.partition.decision_table import CLOSED, HAVE, NEEDED_BITS, NO_WATERMARK, OPEN, DecisionTable
from stream_processors.partition.held_parts import FRAMING
from stream_processors.partition.row_index import UNKNOWN
from stream_processors.partition.timer_buckets import TimerBuckets
from stream_processors.partition.watermark_course import LAST, WatermarkCourse
from stream_processors.rule.input_event import EngagementFields

FEW = 32
"""Chunks up to this size are held one by one: columns have a fixed cost of about that many events."""
PARTS = tuple((code, name, HAVE[name]) for code, name in enumerate(NAMES) if name in HAVE)


class Held(NamedTuple):
    """What became of a chunk: heartbeats heard, second copies of engagements, and the places left for one by one."""

    heartbeats: int
    duplicates: int
    left: list[int]


class RuleKeeper(Protocol):
    """What holding plain events asks of whoever keeps the rule."""

    open_count: int

    def complete(self, rows: Sequence[int]) -> None:
        """Request, action and propensity of these open rows are there."""

    def engage(self, row: int, engagement: EngagementFields, offset: int, time: int, value: bytes) -> bool:
        """Adds an engagement of this offset and time (ms) to an open row; False when it has one of that id."""


class ColumnarHolding:
    """Finds the plain events of one partition's chunks and holds them."""

    def __init__(self, table: DecisionTable, timers: TimerBuckets, window_ms: int, keeper: RuleKeeper) -> None:
        self._table = table
        self._timers = timers
        self._window = window_ms
        self._keeper = keeper

    def hold(self, validated: ValidatedRecords, course: WatermarkCourse, cap: int) -> Held:
        """Holds what is plain of a chunk; never more than `cap` decisions may be open."""
        count, last_due = len(validated.records), int(course.before[-1]) + self._window
        if count <= FEW or validated.resolved or self._keeper.open_count + count > cap or last_due > LAST:
            return Held(0, 0, list(range(count)))
        beats = course.heard & (validated.codes == HEARTBEAT)
        rows = self._table.index.get_all(validated.records.keys)
        plain = self._lasting(validated, course, course.heard & ~beats, rows)
        begun = self._begin(validated, course, plain, rows)
        plain &= ~np.isin(rows, self._given_twice(validated, plain, rows))
        self._move(validated, plain, rows, begun)
        self._hold_parts(validated, plain, rows, begun)
        duplicates = self._hold_engagements(validated, plain, rows)
        return Held(int(np.count_nonzero(beats)), duplicates, np.flatnonzero(~(plain | beats)).tolist())

    def _lasting(self, validated: ValidatedRecords, course: WatermarkCourse, held: Mask, rows: Integers) -> Mask:
        """Those of the events to be held whose decision neither has closed nor has anything due until behind the chunk.

        That is until the end of the timers's bucket: what is due in one that may be opened is looked at one by one.
        """
        last = int(course.before[-1])
        bound = max(NO_WATERMARK, max(self._timers.end_of(last), self._timers.opened_end) - self._window)
        known = rows != UNKNOWN
        places = np.flatnonzero(held & known)
        of_known = rows[places]
        lasting = held.copy()
        if places.size:
            oldest, states = np.frombuffer(self._table.oldest, np.int64), np.frombuffer(self._table.states, np.uint8)
            lasting[places] = (oldest[of_known] >= bound) & (states[of_known] != CLOSED)
        early = held & (validated.times < bound)
        if early.any():
            lasting &= ~np.isin(rows, rows[early])
        return lasting

    def _begin(self, validated: ValidatedRecords, course: WatermarkCourse, plain: Mask, rows: Integers) -> Integers:
        """Rows for the keys that have none, in the order of their first events; returns and enters them in `rows`."""
        places = np.flatnonzero(plain & (rows == UNKNOWN)).tolist()
        keys, offsets = validated.records.keys, validated.records.offsets
        given = [keys[place] or b"" for place in places]
        first = sorted(dict(zip(reversed(given), reversed(places), strict=True)).values())
        columns = ([keys[place] or b"" for place in first], [offsets[place] for place in first])
        begun = self._table.begin_all(*columns, validated.times[first], course.before[first])
        self._keeper.open_count += len(first)
        row_of = dict(zip(columns[0], begun.tolist(), strict=True))
        rows[places] = [row_of[key] for key in given]
        return begun

    def _given_twice(self, validated: ValidatedRecords, plain: Mask, rows: Integers) -> Integers:
        """Rows that get a part they have, or get one twice."""
        have = np.frombuffer(self._table.have, np.uint8)
        found = []
        for code, _, bit in PARTS:
            given = np.sort(rows[plain & (validated.codes == code)])
            found += [given[(have[given] & bit) != 0], given[1:][given[1:] == given[:-1]]]
        return np.concatenate(found)

    def _move(self, validated: ValidatedRecords, plain: Mask, rows: Integers, begun: Integers) -> None:
        """The oldest and newest times of the rows, and their places in the timers."""
        times, at = validated.times[plain], rows[plain]
        oldest, newest = np.frombuffer(self._table.oldest, np.int64), np.frombuffer(self._table.newest, np.int64)
        older = at[times < oldest[at]]
        np.maximum.at(newest, at, times)
        np.minimum.at(oldest, at, times)
        moved = np.union1d(begun, older)
        self._timers.enter_all(oldest[moved] + self._window, moved)

    def _hold_parts(self, validated: ValidatedRecords, plain: Mask, rows: Integers, begun: Integers) -> None:
        """Decisions that are complete now go to blocks side by side with those that close when they do."""
        table, offsets, values = self._table, np.array(validated.records.offsets, np.int64), validated.records.values
        have, states = np.frombuffer(table.have, np.uint8), np.frombuffer(table.states, np.uint8)
        request_times = np.frombuffer(table.request_times, np.int64)
        for code, name, _ in PARTS:
            places = np.flatnonzero(plain & (validated.codes == code))
            table.note_parts(name, rows[places], offsets[places], validated.times[places])
        rest = plain & ~self._hold_whole(validated, plain, rows, np.sort(begun[_is_complete(have[begun])]))
        for code, name, _ in PARTS:
            places = np.flatnonzero(rest & (validated.codes == code))
            given = [values[place] or b"" for place in places.tolist()]
            parts = zip(given, offsets[places].tolist(), validated.times[places].tolist(), strict=True)
            table.parts.hold_all(name, rows[places].tolist(), parts)
        at = rows[rest]
        complete = np.unique(at[(states[at] == OPEN) & _is_complete(have[at])])
        self._keeper.complete(complete[np.argsort(request_times[complete], kind="stable")].tolist())

    def _hold_whole(self, validated: ValidatedRecords, plain: Mask, rows: Integers, whole: Integers) -> Mask:
        """Holds the parts of these rows, ascending, whose parts have all come in this chunk; returns their events."""
        table, values = self._table, validated.records.values
        theirs = plain & np.isin(rows, whole)
        closing = np.argsort(np.frombuffer(table.request_times, np.int64)[whole], kind="stable")
        datums = list[list[bytes]]()
        for code, _, _ in PARTS:
            places = np.flatnonzero(theirs & (validated.codes == code))
            column = [b""] * whole.size
            for number, place in zip(np.searchsorted(whole, rows[places]).tolist(), places.tolist(), strict=True):
                column[number] = (values[place] or b"")[FRAMING:]
            datums.append([column[number] for number in closing.tolist()])
        table.complete(whole[closing].tolist(), zip(*datums, strict=True))
        return theirs

    def _hold_engagements(self, validated: ValidatedRecords, plain: Mask, rows: Integers) -> int:
        """Returns how many of them were second copies."""
        places = np.flatnonzero(plain & (validated.codes == ENGAGEMENT))
        columns = (places.tolist(), rows[places].tolist(), validated.times[places].tolist())
        offsets, values, engagements, engage = (
            validated.records.offsets,
            validated.records.values,
            validated.engagements,
            self._keeper.engage,
        )
        duplicates = 0
        for place, row, time in zip(*columns, strict=True):
            engagement, value = engagements[place], values[place]
            assert engagement is not None and value is not None
            duplicates += not engage(row, engagement, offsets[place], time, value)
        return duplicates


def _is_complete(have: NDArray[np.uint8]) -> Mask:
    """Of rows that have these parts, which have all that an example needs."""
    complete: Mask = have & NEEDED_BITS == NEEDED_BITS
    return complete
