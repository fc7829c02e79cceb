"""The decisions of one partition that are still open, and those closed but not yet forgotten.

A decision is all events of one request_id. It is *remembered* from its first event until the watermark reaches its
newest event time plus the window. That is what makes a rebuild exact, which reads the log again from the first event
of the oldest remembered decision: every remembered decision is read whole; of one that began before only some events
are read, and what the rebuild makes of those ends, as everything does, a window after its newest event at the latest,
so no later than the decision itself was forgotten.

While remembered a decision is first *open* and then closed:

- with a request, it closes when the watermark reaches request time + window;
- without one, its events expire one by one, each at its own event time + window, and the decision is forgotten with
  the last of them;
- the cap closes the one with the lowest first offset early.

Once request, action and propensity are there nothing of the decision can become a dead letter any more, so engagements
are then tallied on arrival and only their ids are kept. Before that they are held whole.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

from event_schemas import records as r
from event_schemas.codec import HEADER
from stream_processors.attribution import JoinRule
from stream_processors.decision_table import (
    CLOSED,
    COMPLETE,
    FREE,
    NEEDED,
    NO_WATERMARK,
    OPEN,
    PARTS,
    DecisionTable,
)
from stream_processors.due_calendar import FAR, DueCalendar
from stream_processors.fates import Fate
from stream_processors.input_event import EngagementFields, InputEvent

FEW_IDS = 8
"""Up to so many engagement_ids are a tuple, which is small; more are a set, which is fast."""


class Due(IntEnum):
    """What a passing watermark can bring."""

    CLOSE = 0
    EXPIRE = 1
    FORGET = 2


class Coming(NamedTuple):
    """What comes at watermark `at`; what is no longer true of the row by then has no effect."""

    at: int
    offset: int
    due: Due
    row: int
    event: InputEvent | None
    """The one that expires."""


class Rejected(NamedTuple):
    """An event that is not held: its fate, and why."""

    fate: Fate
    detail: str


class Complete(NamedTuple):
    """A decision that closed with request, action and propensity; `parts` are the datums of `PARTS`, in the
    newest schemas; only that of the Ranking may be None.

    `totals` are the sums of engagement values by objective; of its events `joined` count for one or are parts, and
    `outside` count for none.
    """

    key: bytes
    request_offset: int
    request_time: int
    parts: Sequence[bytes | None]
    totals: Sequence[float]
    joined: int
    outside: int


class Unfinished(NamedTuple):
    """A decision that closed without request, action or propensity: its request, if that came, and all its events."""

    request: InputEvent | None
    missing: tuple[str, ...]
    events: tuple[InputEvent, ...]


class Expired(NamedTuple):
    """An event whose own window passed without a request."""

    event: InputEvent


Ended = Complete | Unfinished | Expired
DUPLICATE = Rejected(Fate.DUPLICATE, "")
NOTHING: dict[str, InputEvent] = {}


class FirstOffset(NamedTuple):
    """Where a decision began, and the watermark before that."""

    offset: int
    watermark: int | None


class PendingDecisions:
    """Holds events until the watermark ends their decision. Every method takes amortised constant time."""

    def __init__(self, rule: JoinRule, floor: int = 0) -> None:
        self._window = rule.window_ms
        self._counting = rule.counting_by_kind()
        self._no_totals = (0.0,) * len(rule.objectives)
        self._table = DecisionTable()
        self._requests = self._table.parts[r.REQUEST]
        self._calendar = DueCalendar(rule.window_ms)
        self._near: list[Coming] = []
        self.open_count = 0
        self.next_due = FAR
        """Nothing ends before the watermark reaches this."""
        self.floor = floor
        """Decisions that began before this offset and whose window has not ended were closed early."""

    def hold(self, event: InputEvent, watermark: int | None) -> Rejected | None:
        """Adds an event that is neither late nor future; None when it is held.

        `watermark` is the one the event was judged against.
        """
        table, (record, name, _, time, engagement, resolved) = self._table, event
        assert record.key is not None
        row = table.by_key.get(record.key)
        if row is None:
            row = table.begin(record.key, event, watermark)
            self.open_count += 1
        elif time > table.newest[row]:
            table.newest[row] = time
        state = table.states[row]
        if state == CLOSED:
            return Rejected(Fate.ORPHAN, f"decision {event.request_id!r} had closed already")
        if engagement is not None:
            if state == COMPLETE:
                return None if self._tally(row, time, engagement) else DUPLICATE
            return self._hold_early(row, engagement, event)
        column = table.parts[name]
        if column.values[row] is not None:
            if column.values[row] == record.value:
                return DUPLICATE
            return Rejected(Fate.CONFLICT, f"another {name} of it came first, at offset {column.offsets[row]}")
        column.values[row], column.offsets[row], column.times[row] = record.value, record.offset, time
        if resolved is not None:
            table.resolved[row, name] = resolved
        if name == r.REQUEST:
            self._await(time + self._window, table.first_offsets[row], Due.CLOSE, row)
        elif self._requests.values[row] is None:
            self._await(time + self._window, record.offset, Due.EXPIRE, row, event)
        if name in NEEDED:
            table.missing[row] -= 1
            if not table.missing[row]:
                self._complete(row)
        return None

    def advance(self, watermark: int) -> Iterator[Ended]:
        """Yields what ends now that the partition's watermark is `watermark`, in order of time and offset."""
        near, calendar = self._near, self._calendar
        if watermark >= calendar.next_opening:
            for row in calendar.open_until(watermark):
                self._bring_near(row)
        while near and near[0].at <= watermark:
            at, offset, due, row, event = heapq.heappop(near)
            if event is not None:
                if not self._expires(row, event):
                    continue
                yield Expired(event)
            elif due is Due.CLOSE:
                if not self._closes(row, at, offset):
                    continue
                yield self._close(row)
            self._forget_or_wait(row, watermark)
        self.next_due = min(near[0].at if near else FAR, calendar.next_opening)

    def close_beyond(self, cap: int) -> Iterator[Ended]:
        """Closes the open decisions with the lowest first offsets until no more than `cap` are open."""
        while self.open_count > cap:
            yield self._close_first()

    def close_before(self, floor: int) -> None:
        """Closes every open decision that began before `floor`: they were closed early before a restart."""
        while (first := self.first_open()) is not None and first.offset < floor:
            self._close_first()
        self.floor = max(self.floor, floor)

    def first_open(self) -> FirstOffset | None:
        """The beginning of the open decision that began first."""
        return self._first(self._table.first_open())

    def first_remembered(self) -> FirstOffset | None:
        """The beginning of the remembered decision that began first."""
        return self._first(self._table.first_remembered())

    def _first(self, row: int | None) -> FirstOffset | None:
        if row is None:
            return None
        watermark = self._table.watermarks[row]
        return FirstOffset(self._table.first_offsets[row], None if watermark == NO_WATERMARK else watermark)

    def _hold_early(self, row: int, engagement: EngagementFields, event: InputEvent) -> Rejected | None:
        early = self._table.early.setdefault(row, {})
        if early.setdefault(engagement.engagement_id, event) is not event:
            return DUPLICATE
        if self._requests.values[row] is None:
            self._await(event.event_time + self._window, event.record.offset, Due.EXPIRE, row, event)
        return None

    def _complete(self, row: int) -> None:
        """All that an example needs is there: what came early is tallied."""
        self._table.states[row] = COMPLETE
        for event in self._table.early.pop(row, NOTHING).values():
            assert event.engagement is not None
            self._tally(row, event.event_time, event.engagement)

    def _tally(self, row: int, time: int, engagement: EngagementFields) -> bool:
        """Count an engagement of a complete decision; False when its id was tallied before."""
        table, (engagement_id, kind, value) = self._table, engagement
        seen = table.seen[row]
        if engagement_id in seen:
            return False
        if isinstance(seen, set):
            seen.add(engagement_id)
        else:
            table.seen[row] = (*seen, engagement_id) if len(seen) < FEW_IDS else {*seen, engagement_id}
        delay = time - self._requests.times[row]
        counted = False
        for objective, attribution in self._counting.get(kind, ()):
            if 0 <= delay <= attribution:
                counted = True
                totals = table.totals[row]
                if totals is None:
                    totals = table.totals[row] = list(self._no_totals)
                totals[objective] += value
        if not counted:
            table.outside[row] += 1
        return True

    def _await(self, at: int, offset: int, due: Due, row: int, event: InputEvent | None = None) -> None:
        """Have the row looked at when the watermark reaches `at`."""
        if not self._calendar.enter(at, row):
            heapq.heappush(self._near, Coming(at, offset, due, row, event))
        if at < self.next_due:
            self.next_due = at

    def _bring_near(self, row: int) -> None:
        """What will come of a row that the calendar gave out."""
        table, near, window = self._table, self._near, self._window
        state, offset = table.states[row], table.first_offsets[row]
        if state == FREE:
            return
        if state != CLOSED and self._requests.values[row] is not None:
            heapq.heappush(near, Coming(self._requests.times[row] + window, offset, Due.CLOSE, row, None))
            return
        for event in table.held(row) if state == OPEN else ():
            at = event.event_time + window
            if self._calendar.is_open(at):
                heapq.heappush(near, Coming(at, event.record.offset, Due.EXPIRE, row, event))
        heapq.heappush(near, Coming(table.newest[row] + window, offset, Due.FORGET, row, None))

    def _closes(self, row: int, at: int, offset: int) -> bool:
        """Whether this is still the time at which the open decision in `row` closes."""
        table, requests = self._table, self._requests
        return (
            table.is_open(row)
            and table.first_offsets[row] == offset
            and requests.values[row] is not None
            and requests.times[row] + self._window == at
        )

    def _expires(self, row: int, event: InputEvent) -> bool:
        """Takes the event out of its row; False when it is not there any more or its request has come."""
        table = self._table
        if table.states[row] != OPEN or self._requests.values[row] is not None:
            return False
        if event.engagement is not None:
            early = table.early.get(row, {})
            held = early.get(event.engagement.engagement_id)
            if held is None or held.record.offset != event.record.offset:
                return False
            del early[event.engagement.engagement_id]
            return True
        column = table.parts[event.name]
        if column.values[row] is None or column.offsets[row] != event.record.offset:
            return False
        table.drop_part(row, event.name)
        return True

    def _close(self, row: int) -> Complete | Unfinished:
        """Ends an open decision and lets go of what it held."""
        table = self._table
        ended = self._completed(row) if table.states[row] == COMPLETE else self._unfinished(row)
        table.states[row] = CLOSED
        self.open_count -= 1
        table.release(row)
        return ended

    def _completed(self, row: int) -> Complete:
        table, requests = self._table, self._requests
        parts = [
            None if (value := column.values[row]) is None else value[HEADER.size :] for column in table.parts.values()
        ]
        for place, name in enumerate(PARTS) if table.resolved else ():
            parts[place] = table.resolved.get((row, name), parts[place])
        outside = table.outside[row]
        joined = len(parts) - parts.count(None) + len(table.seen[row]) - outside
        totals = table.totals[row] or self._no_totals
        return Complete(table.keys[row], requests.offsets[row], requests.times[row], parts, totals, joined, outside)

    def _unfinished(self, row: int) -> Unfinished:
        table = self._table
        missing = tuple(name for name in PARTS if name in NEEDED and table.parts[name].values[row] is None)
        return Unfinished(table.part(row, r.REQUEST), missing, tuple(table.held(row)))

    def _close_first(self) -> Complete | Unfinished:
        table, row = self._table, self._table.first_open()
        assert row is not None
        self.floor = max(self.floor, table.first_offsets[row] + 1)
        ended = self._close(row)
        self._await(table.newest[row] + self._window, table.first_offsets[row], Due.FORGET, row)
        return ended

    def _forget_or_wait(self, row: int, watermark: int) -> None:
        table = self._table
        state = table.states[row]
        if state == FREE or (state != CLOSED and self._holds_anything(row)):
            return
        passed = table.newest[row] + self._window
        if passed > watermark:
            self._await(passed, table.first_offsets[row], Due.FORGET, row)
            return
        if state != CLOSED:
            self.open_count -= 1
            table.release(row)
        table.forget(row)

    def _holds_anything(self, row: int) -> bool:
        parts = self._table.parts.values()
        return bool(self._table.early.get(row)) or any(column.values[row] is not None for column in parts)
