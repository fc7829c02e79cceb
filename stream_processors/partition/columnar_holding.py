"""Holds the plain events of a chunk in columns: the events that affect nothing but their own row.

Decisions depend on each other only through the watermark, whose course is known beforehand. So an event is plain if its
decision does not end within the chunk, has not closed, gets no part twice, and has no Action and Propensity that may
contradict each other. Plain events may be held in any order: the rows come out the same. All others are left to be
held one by one, by `PendingDecisions.hold_part` and `hold_engagement`, which define the behaviour. A whole chunk is
left if the cap might be reached, if it has parts that cannot be lifted, or if it comes near the end of 64-bit time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from event_schemas import records as r
from stream_processors.columns.array_types import Integers, Mask
from stream_processors.columns.validated_records import CODES, ENGAGEMENT, HEARTBEAT, ValidatedRecords
from stream_processors.partition.decision_table import (
    CLOSED,
    HAVE,
    NEEDED_BITS,
    NO_WATERMARK,
    OPEN,
    DecisionTable,
)
from stream_processors.partition.held_parts import PARTS
from stream_processors.partition.row_index import UNKNOWN
from stream_processors.partition.timer_buckets import TimerBuckets
from stream_processors.partition.watermark_course import LAST, WatermarkCourse
from stream_processors.rule.claims import which_may_contradict
from stream_processors.rule.input_event import EngagementFields

FEW = 32
"""Chunks up to this size are held one by one: columns have a fixed cost of about this many events."""
PART_CODES = {name: CODES[name] for name in PARTS}
"""The code of each part in `ValidatedRecords.codes`."""


class Held(NamedTuple):
    """What became of a chunk: counts of heartbeats and of second copies of engagements, and the places of the rest."""

    heartbeats: int
    duplicates: int
    left: list[int]


class RuleKeeper(Protocol):
    """What `ColumnarHolding` needs of `PendingDecisions`."""

    open_count: int

    def complete_rows(self, rows: Sequence[int]) -> None:
        """Request, action and propensity of these open rows are there."""

    def add_engagement(self, row: int, engagement: EngagementFields, offset: int, time: int, value: bytes) -> bool:
        """Adds an engagement of this offset and time (ms) to an open row; False when it has one of that id."""


class ColumnarHolding:
    """Finds the plain events in the chunks of one partition and holds them."""

    def __init__(self, table: DecisionTable, timers: TimerBuckets, window_ms: int, keeper: RuleKeeper) -> None:
        self._table = table
        self._timers = timers
        self._window = window_ms
        self._keeper = keeper

    def hold_plain(self, validated: ValidatedRecords, course: WatermarkCourse, cap: int) -> Held:
        """Holds the plain events of a chunk. Never more than `cap` decisions may be open."""
        count, last_due = len(validated.records), int(course.before[-1]) + self._window
        if count <= FEW or validated.resolved or self._keeper.open_count + count > cap or last_due > LAST:
            return Held(0, 0, list(range(count)))
        beats = course.heard & (validated.codes == HEARTBEAT)
        rows = self._table.index.get_all(validated.records.keys)
        plain = self._lasting(validated, course, course.heard & ~beats, rows)
        begun = self._begin(validated, course, plain, rows)
        plain &= ~np.isin(rows, self._given_twice(validated, plain, rows))
        plain &= ~np.isin(rows, self._note_claims(validated, plain, rows))
        self._move(validated, plain, rows, begun)
        self._hold_parts(validated, plain, rows, begun)
        duplicates = self._hold_engagements(validated, plain, rows)
        return Held(int(np.count_nonzero(beats)), duplicates, np.flatnonzero(~(plain | beats)).tolist())

    def _lasting(self, validated: ValidatedRecords, course: WatermarkCourse, held: Mask, rows: Integers) -> Mask:
        """The events of `held` whose decision has not closed and has nothing due until the chunk has ended.

        The bound is the end of the timers' bucket, since all that is due in an opened bucket is looked at one by one.
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
        """Begins rows for the keys that have none, in the order of their first events; sets them in `rows` too."""
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
        """Rows that get a part they already have, or one part twice."""
        have = np.frombuffer(self._table.have, np.uint8)
        found = []
        for name, code in PART_CODES.items():
            given = np.sort(rows[plain & (validated.codes == code)])
            found += [given[(have[given] & HAVE[name]) != 0], given[1:][given[1:] == given[:-1]]]
        return np.concatenate(found)

    def _note_claims(self, validated: ValidatedRecords, plain: Mask, rows: Integers) -> Integers:
        """Notes what the Actions and Propensities claim; returns the rows where they may contradict each other.

        The claims of these rows stay what they were.
        """
        claims = np.frombuffer(self._table.claims, np.uint8)
        given = rows[plain & (validated.claims != 0)]
        before = claims[given]
        for name in (r.ACTION, r.PROPENSITY):
            places = plain & (validated.codes == CODES[name])
            claims[rows[places]] |= validated.claims[places]
        left = which_may_contradict(claims[given])
        claims[given[left]] = before[left]
        found: Integers = given[left]
        return found

    def _move(self, validated: ValidatedRecords, plain: Mask, rows: Integers, begun: Integers) -> None:
        """Updates the oldest and newest times of the rows, and enters them in the timers."""
        times, at = validated.times[plain], rows[plain]
        oldest, newest = np.frombuffer(self._table.oldest, np.int64), np.frombuffer(self._table.newest, np.int64)
        older = at[times < oldest[at]]
        np.maximum.at(newest, at, times)
        np.minimum.at(oldest, at, times)
        moved = np.union1d(begun, older)
        self._timers.enter_all(oldest[moved] + self._window, moved)

    def _hold_parts(self, validated: ValidatedRecords, plain: Mask, rows: Integers, begun: Integers) -> None:
        """Holds the parts. Decisions that are complete now go to blocks, next to others that close at their time."""
        table, offsets, values = self._table, np.array(validated.records.offsets, np.int64), validated.records.values
        have, states = np.frombuffer(table.have, np.uint8), np.frombuffer(table.states, np.uint8)
        request_times = np.frombuffer(table.request_times, np.int64)
        for name, code in PART_CODES.items():
            places = np.flatnonzero(plain & (validated.codes == code))
            table.note_parts(name, rows[places], offsets[places], validated.times[places])
        rest = plain & ~self._hold_whole(validated, plain, rows, np.sort(begun[_is_complete(have[begun])]))
        for name, code in PART_CODES.items():
            places = np.flatnonzero(rest & (validated.codes == code))
            given = [values[place] or b"" for place in places.tolist()]
            parts = zip(given, offsets[places].tolist(), validated.times[places].tolist(), strict=True)
            table.parts.keep_parts(name, rows[places].tolist(), parts)
        at = rows[rest]
        complete = np.unique(at[(states[at] == OPEN) & _is_complete(have[at])])
        self._keeper.complete_rows(complete[np.argsort(request_times[complete], kind="stable")].tolist())

    def _hold_whole(self, validated: ValidatedRecords, plain: Mask, rows: Integers, whole: Integers) -> Mask:
        """Holds the parts of rows (ascending) whose parts all came in this chunk; returns which events they are."""
        table, values = self._table, validated.records.values
        theirs = plain & np.isin(rows, whole)
        closing = np.argsort(np.frombuffer(table.request_times, np.int64)[whole], kind="stable")
        datums = list[list[bytes]]()
        for code in PART_CODES.values():
            places = np.flatnonzero(theirs & (validated.codes == code))
            given = [*table.parts.newest_data([values[place] or b"" for place in places.tolist()]), b""]
            place_in_given = np.full(whole.size, places.size)
            place_in_given[np.searchsorted(whole, rows[places])] = np.arange(places.size)
            datums.append([given[place] for place in place_in_given[closing].tolist()])
        table.mark_complete(whole[closing].tolist(), zip(*datums, strict=True))
        return theirs

    def _hold_engagements(self, validated: ValidatedRecords, plain: Mask, rows: Integers) -> int:
        """Holds the engagements; returns how many of them were second copies."""
        places = np.flatnonzero(plain & (validated.codes == ENGAGEMENT))
        columns = (places.tolist(), rows[places].tolist(), validated.times[places].tolist())
        offsets, values, engagements = validated.records.offsets, validated.records.values, validated.engagements
        add_engagement, duplicates = self._keeper.add_engagement, 0
        for place, row, time in zip(*columns, strict=True):
            engagement, value = engagements[place], values[place]
            assert engagement is not None and value is not None
            duplicates += not add_engagement(row, engagement, offsets[place], time, value)
        return duplicates


def _is_complete(have: NDArray[np.uint8]) -> Mask:
    """Which of these sets of parts have all that an example needs."""
    complete: Mask = have & NEEDED_BITS == NEEDED_BITS
    return complete
