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

from stream_processors.columns.block_walk import Integers, Mask
from stream_processors.columns.validated_records import ENGAGEMENT, HEARTBEAT, NAMES, JudgedChunk
from stream_processors.partition.decision_table import CLOSED, HAVE, NEEDED_BITS, NO_WATERMARK, OPEN, DecisionTable
from stream_processors.partition.held_parts import FRAMING
from stream_processors.partition.row_index import UNKNOWN
from stream_processors.partition.timer_buckets import DueCalendar
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


class PlainEvents:
    """Finds the plain events of one partition's chunks and holds them."""

    def __init__(self, table: DecisionTable, calendar: DueCalendar, window_ms: int, keeper: RuleKeeper) -> None:
        self._table = table
        self._calendar = calendar
        self._window = window_ms
        self._keeper = keeper

    def hold(self, judged: JudgedChunk, course: WatermarkCourse, cap: int) -> Held:
        """Holds what is plain of a chunk; never more than `cap` decisions may be open."""
        count, last_due = len(judged.chunk), int(course.before[-1]) + self._window
        if count <= FEW or judged.resolved or self._keeper.open_count + count > cap or last_due > LAST:
            return Held(0, 0, list(range(count)))
        beats = course.heard & (judged.codes == HEARTBEAT)
        rows = self._table.index.get_all(judged.chunk.keys)
        plain = self._lasting(judged, course, course.heard & ~beats, rows)
        begun = self._begin(judged, course, plain, rows)
        plain &= ~np.isin(rows, self._given_twice(judged, plain, rows))
        self._move(judged, plain, rows, begun)
        self._hold_parts(judged, plain, rows, begun)
        duplicates = self._hold_engagements(judged, plain, rows)
        return Held(int(np.count_nonzero(beats)), duplicates, np.flatnonzero(~(plain | beats)).tolist())

    def _lasting(self, judged: JudgedChunk, course: WatermarkCourse, held: Mask, rows: Integers) -> Mask:
        """Those of the events to be held whose decision neither has closed nor has anything due until behind the chunk.

        That is until the end of the calendar's bucket: what is due in one that may be opened is looked at one by one.
        """
        last = int(course.before[-1])
        bound = max(NO_WATERMARK, max(self._calendar.end_of(last), self._calendar.opened_end) - self._window)
        known = rows != UNKNOWN
        places = np.flatnonzero(held & known)
        of_known = rows[places]
        lasting = held.copy()
        if places.size:
            oldest, states = np.frombuffer(self._table.oldest, np.int64), np.frombuffer(self._table.states, np.uint8)
            lasting[places] = (oldest[of_known] >= bound) & (states[of_known] != CLOSED)
        early = held & (judged.times < bound)
        if early.any():
            lasting &= ~np.isin(rows, rows[early])
        return lasting

    def _begin(self, judged: JudgedChunk, course: WatermarkCourse, plain: Mask, rows: Integers) -> Integers:
        """Rows for the keys that have none, in the order of their first events; returns and enters them in `rows`."""
        places = np.flatnonzero(plain & (rows == UNKNOWN)).tolist()
        keys, offsets = judged.chunk.keys, judged.chunk.offsets
        given = [keys[place] or b"" for place in places]
        first = sorted(dict(zip(reversed(given), reversed(places), strict=True)).values())
        columns = ([keys[place] or b"" for place in first], [offsets[place] for place in first])
        begun = self._table.begin_all(*columns, judged.times[first], course.before[first])
        self._keeper.open_count += len(first)
        row_of = dict(zip(columns[0], begun.tolist(), strict=True))
        rows[places] = [row_of[key] for key in given]
        return begun

    def _given_twice(self, judged: JudgedChunk, plain: Mask, rows: Integers) -> Integers:
        """Rows that get a part they have, or get one twice."""
        have = np.frombuffer(self._table.have, np.uint8)
        found = []
        for code, _, bit in PARTS:
            given = np.sort(rows[plain & (judged.codes == code)])
            found += [given[(have[given] & bit) != 0], given[1:][given[1:] == given[:-1]]]
        return np.concatenate(found)

    def _move(self, judged: JudgedChunk, plain: Mask, rows: Integers, begun: Integers) -> None:
        """The oldest and newest times of the rows, and their places in the calendar."""
        times, at = judged.times[plain], rows[plain]
        oldest, newest = np.frombuffer(self._table.oldest, np.int64), np.frombuffer(self._table.newest, np.int64)
        older = at[times < oldest[at]]
        np.maximum.at(newest, at, times)
        np.minimum.at(oldest, at, times)
        moved = np.union1d(begun, older)
        self._calendar.enter_all(oldest[moved] + self._window, moved)

    def _hold_parts(self, judged: JudgedChunk, plain: Mask, rows: Integers, begun: Integers) -> None:
        """Decisions that are complete now go to blocks side by side with those that close when they do."""
        table, offsets, values = self._table, np.array(judged.chunk.offsets, np.int64), judged.chunk.values
        have, states = np.frombuffer(table.have, np.uint8), np.frombuffer(table.states, np.uint8)
        request_times = np.frombuffer(table.request_times, np.int64)
        for code, name, _ in PARTS:
            places = np.flatnonzero(plain & (judged.codes == code))
            table.note_parts(name, rows[places], offsets[places], judged.times[places])
        rest = plain & ~self._hold_whole(judged, plain, rows, np.sort(begun[_is_complete(have[begun])]))
        for code, name, _ in PARTS:
            places = np.flatnonzero(rest & (judged.codes == code))
            given = [values[place] or b"" for place in places.tolist()]
            parts = zip(given, offsets[places].tolist(), judged.times[places].tolist(), strict=True)
            table.parts.hold_all(name, rows[places].tolist(), parts)
        at = rows[rest]
        complete = np.unique(at[(states[at] == OPEN) & _is_complete(have[at])])
        self._keeper.complete(complete[np.argsort(request_times[complete], kind="stable")].tolist())

    def _hold_whole(self, judged: JudgedChunk, plain: Mask, rows: Integers, whole: Integers) -> Mask:
        """Holds the parts of these rows, ascending, whose parts have all come in this chunk; returns their events."""
        table, values = self._table, judged.chunk.values
        theirs = plain & np.isin(rows, whole)
        closing = np.argsort(np.frombuffer(table.request_times, np.int64)[whole], kind="stable")
        datums = list[list[bytes]]()
        for code, _, _ in PARTS:
            places = np.flatnonzero(theirs & (judged.codes == code))
            column = [b""] * whole.size
            for number, place in zip(np.searchsorted(whole, rows[places]).tolist(), places.tolist(), strict=True):
                column[number] = (values[place] or b"")[FRAMING:]
            datums.append([column[number] for number in closing.tolist()])
        table.complete(whole[closing].tolist(), zip(*datums, strict=True))
        return theirs

    def _hold_engagements(self, judged: JudgedChunk, plain: Mask, rows: Integers) -> int:
        """Returns how many of them were second copies."""
        places = np.flatnonzero(plain & (judged.codes == ENGAGEMENT))
        columns = (places.tolist(), rows[places].tolist(), judged.times[places].tolist())
        offsets, values, engagements, engage = (
            judged.chunk.offsets,
            judged.chunk.values,
            judged.engagements,
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
