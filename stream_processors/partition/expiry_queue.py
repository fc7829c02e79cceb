"""What comes due in the rows of a table as the watermark moves, in order of time and offset.

Nearly all of it is the closing of decisions, a window after their requests. Each row waits in the timers at its oldest
event time plus the window: nothing in it is due earlier. When its bucket is opened, what is due within the bucket goes
into a list that is sorted once, and a row with nothing due yet is entered again. Only what falls due in a bucket that
is already open needs a heap.
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
    """What can come due."""

    CLOSE = 0
    """The window of a decision with a request ends."""
    EXPIRE = 1
    """The window of an event ends; it is an orphan if no request has come."""
    FORGET = 2
    """A decision that holds nothing may be forgotten."""


DueEntry = tuple[int, int, Due, int, InputEvent | None]
"""At which watermark something is due, at which offset it began, what it is, its row, and the event that expires.

The row may have changed since the entry was made: whoever takes the entry checks whether it still holds.
"""


class ExpiryQueue:
    """What comes due in the open rows of `table`.

    Every row must have been entered in `timers` at its oldest time plus the window.
    """

    def __init__(self, table: DecisionTable, window_ms: int) -> None:
        self._table = table
        self._window = window_ms
        self._line: list[DueEntry] = []
        """What was due in the bucket opened last when it was opened, the next entry at the end."""
        self._near: list[DueEntry] = []
        """A heap of what came due later in buckets that were open already."""
        self.timers = TimerBuckets(window_ms)

    @property
    def next_due(self) -> int:
        """Nothing is due at any watermark below this."""
        due = self.timers.next_opening
        if self._line:
            due = min(due, self._line[-1][0])
        return min(due, self._near[0][0]) if self._near else due

    def add(self, at: int, offset: int, due: Due, row: int, event: InputEvent | None = None) -> None:
        """Adds something due at `at`: as an entry if its bucket is open already, else by entering its row again."""
        if not self.timers.enter(at, row):
            heapq.heappush(self._near, (at, offset, due, row, event))

    def pop_due(self, watermark: int) -> Iterator[DueEntry]:
        """Removes and yields what is due, in order of time and offset; more may be added meanwhile."""
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
        """Finds what is due in the next bucket. All that was due before it must have been taken."""
        table, window = self._table, self._window
        states, offsets, times = table.states, table.first_offsets, table.request_times
        rows, line = self.timers.open_next(), list[DueEntry]()
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
                self._add_without_request(row)
        line.sort(reverse=True)
        self._line = line

    def _add_without_request(self, row: int) -> None:
        """Adds what is due in an open row without a request: its events expire; without events it is forgotten."""
        for event in self._table.events_in(row):
            self.add(event.event_time + self._window, event.record.offset, Due.EXPIRE, row, event)
        if not self._table.holds_anything(row):
            self.add(self._table.newest[row] + self._window, self._table.first_offsets[row], Due.FORGET, row)
