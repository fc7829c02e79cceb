"""What the watermark will end in the rows of a table, in order of time and offset.

Nearly all of it is the closing of decisions a window after their requests. Rows stand in the timers at their oldest
event time plus the window, before which nothing of them is due. When the bucket is opened each row is looked at: what
is due in this bucket goes into a list that is sorted once; a row with nothing due yet is entered anew. Only what comes
due in a bucket that is open already needs a heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum

from event_schemas import records as r
from stream_processors.partition.decision_table import COMPLETE, HAVE, OPEN, DecisionTable
from stream_processors.partition.timer_buckets import TimerBuckets
from stream_processors.rule.input_event import InputEvent


class Due(IntEnum):
    """What a passing watermark can bring."""

    CLOSE = 0
    EXPIRE = 1
    FORGET = 2


Coming = tuple[int, int, Due, int, InputEvent | None]
"""What comes: at which watermark, of which offset, what, of which row; and the event that expires. What is no longer
true of the row by then has no effect."""


class ExpiryQueue:
    """What is due of the open rows of `table`; every row must have been entered at its oldest time plus the window."""

    def __init__(self, table: DecisionTable, window_ms: int) -> None:
        self._table = table
        self._window = window_ms
        self._line: list[Coming] = []
        """What was due in the bucket opened last, the next at the end."""
        self._near: list[Coming] = []
        self.timers = TimerBuckets(window_ms)

    @property
    def next_due(self) -> int:
        """No watermark below this ends anything."""
        due = self.timers.next_opening
        if self._line:
            due = min(due, self._line[-1][0])
        return min(due, self._near[0][0]) if self._near else due

    def add(self, at: int, offset: int, due: Due, row: int, event: InputEvent | None = None) -> None:
        """Something due at `at`: to be remembered by itself where its bucket is open, else by its row."""
        if not self.timers.enter(at, row):
            heapq.heappush(self._near, (at, offset, due, row, event))

    def take(self, watermark: int) -> Iterator[Coming]:
        """Takes out what is due, in order of time and offset; meanwhile more may be added."""
        near, timers = self._near, self.timers
        while True:
            line = self._line
            while line and line[-1][0] <= watermark and not (near and near[0] < line[-1]):
                yield line.pop()
            if near and near[0][0] <= watermark:
                yield heapq.heappop(near)
            elif timers.next_opening <= watermark:
                self._open_next()
            else:
                return

    def _open_next(self) -> None:
        """Finds what is due in the next bucket, by when all that was due before has been taken."""
        table, window = self._table, self._window
        states, offsets, times = table.states, table.first_offsets, table.request_times
        rows, line = self.timers.open_next(), list[Coming]()
        end, enter = self.timers.opened_end, self.timers.enter
        for row in rows:
            state = states[row]
            if state == COMPLETE or (state == OPEN and table.have[row] & HAVE[r.REQUEST]):
                at = times[row] + window
                if at < end:
                    line.append((at, offsets[row], Due.CLOSE, row, None))
                else:
                    enter(at, row)
            elif state == OPEN:
                self._look_at(row)
        line.sort(reverse=True)
        self._line = line

    def _look_at(self, row: int) -> None:
        """A row without a request: its events expire; without events it is to be forgotten."""
        for event in self._table.held(row):
            self.add(event.event_time + self._window, event.record.offset, Due.EXPIRE, row, event)
        if not self._table.holds_anything(row):
            self.add(self._table.newest[row] + self._window, self._table.first_offsets[row], Due.FORGET, row)
