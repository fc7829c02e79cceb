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

What the watermark ends may be asked for later than it moved (`advance`), many decisions at a time, as long as nothing
depends on it: `hold` refuses an event whose decision may have ended meanwhile (`OVERDUE`).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.attribution import JoinRule
from stream_processors.complete_decisions import CompleteDecisions, read_complete
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

CLOSED_AT_ONCE = 500
FEW_IDS = 8
"""Up to so many engagement_ids are a tuple, which is small; more are a set, which is fast."""


class Due(IntEnum):
    """What a passing watermark can bring."""

    CLOSE = 0
    EXPIRE = 1
    FORGET = 2


Coming = tuple[int, int, Due, int, InputEvent | None]
"""What comes: at which watermark, of which offset, what, of which row; and the event that expires. What is no longer
true of the row by then has no effect."""


class Rejected(NamedTuple):
    """An event that is not held: its fate, and why."""

    fate: Fate
    detail: str


class Unfinished(NamedTuple):
    """A decision that closed without request, action or propensity: its request, if that came, and all its events."""

    request: InputEvent | None
    missing: tuple[str, ...]
    events: tuple[InputEvent, ...]


class Expired(NamedTuple):
    """An event whose own window passed without a request."""

    event: InputEvent


Ended = CompleteDecisions | Unfinished | Expired
DUPLICATE = Rejected(Fate.DUPLICATE, "")
OVERDUE = Rejected(Fate.ORPHAN, "advance first")
"""Not a verdict: the watermark may have ended this decision; `advance`, then ask again."""
NOTHING: dict[str, InputEvent] = {}


class FirstOffset(NamedTuple):
    """Where a decision began, the watermark before that, and its request_id (UTF-8)."""

    offset: int
    watermark: int | None
    key: bytes


class PendingDecisions:
    """Holds events until the watermark ends their decision. Every method takes amortised constant time."""

    def __init__(self, rule: JoinRule, partition: int) -> None:
        self._window = rule.window_ms
        self._counting = rule.counting_by_kind()
        self._partition = partition
        self._table = DecisionTable(len(rule.objectives), partition)
        self._requests = self._table.parts[r.REQUEST]
        self._calendar = DueCalendar(rule.window_ms)
        self._near: list[Coming] = []
        self._next_due = FAR
        self.watermark: int | None = None
        """Largest event time seen (ms), None before the first; moved by whoever judges the events."""
        self.open_count = 0
        self.floor = 0
        """Decisions that began before this offset and whose window has not ended were closed early."""

    @property
    def topic(self) -> str:
        """The topic that events came from, as it returns in those of decisions without example."""
        return self._table.topic

    @topic.setter
    def topic(self, topic: str) -> None:
        self._table.topic = topic

    def hold_part(self, name: str, key: bytes, value: bytes, offset: int, time: int) -> Rejected | None:
        """Adds a Request, Action, Propensity or Ranking that is neither late nor future; None when it is held."""
        row = self._row(key, offset, time)
        if row is None:
            return OVERDUE
        table = self._table
        if table.states[row] == CLOSED:
            return _after_close(key)
        column = table.parts[name]
        first = column.values[row]
        if first is not None:
            if first == value:
                return DUPLICATE
            return Rejected(Fate.CONFLICT, f"another {name} of it came first, at offset {column.offsets[row]}")
        column.values[row], column.offsets[row], column.times[row] = value, offset, time
        if name == r.REQUEST:
            self._await(time + self._window, table.first_offsets[row], Due.CLOSE, row)
        elif self._requests.values[row] is None:
            self._await_expiry(row, offset, time, None)
        if name in NEEDED:
            table.missing[row] -= 1
            if not table.missing[row]:
                self._complete(row)
        return None

    def resolve(self, key: bytes, name: str, datum: bytes) -> None:
        """Says how a part just held is written in the newest schema."""
        self._table.resolved[self._table.by_key[key], name] = datum

    def hold_engagement(
        self, engagement: EngagementFields, key: bytes, value: bytes, offset: int, time: int
    ) -> Rejected | None:
        """Adds an Engagement that is neither late nor future; None when it is held."""
        row = self._row(key, offset, time)
        if row is None:
            return OVERDUE
        state = self._table.states[row]
        if state == COMPLETE:
            return None if self._tally(row, time, engagement) else DUPLICATE
        if state == CLOSED:
            return _after_close(key)
        record = LogRecord(self._table.topic, self._partition, offset, 0, key, value)
        event = InputEvent(record, r.ENGAGEMENT, key.decode(), time, engagement)
        if self._table.early.setdefault(row, {}).setdefault(engagement[0], event) is not event:
            return DUPLICATE
        if self._requests.values[row] is None:
            self._await_expiry(row, offset, time, event)
        return None

    def advance(self) -> Iterator[Ended]:
        """Yields what has ended at the watermark, in order of time and offset; complete decisions many at a time."""
        watermark, states = self.watermark, self._table.states
        if watermark is None or watermark < self._next_due:
            return
        near, calendar, complete = self._near, self._calendar, list[int]()
        while True:
            if calendar.next_opening <= watermark and (not near or near[0][0] >= calendar.next_opening):
                for row in calendar.open_until(calendar.next_opening):
                    self._bring_near(row)
                continue
            if not near or near[0][0] > watermark:
                break
            coming = heapq.heappop(near)
            due, row = coming[2], coming[3]
            if due is Due.FORGET:
                self._forget_or_wait(row)
            elif due is Due.CLOSE and states[row] == COMPLETE:
                if self._closes(coming):
                    states[row] = CLOSED
                    complete.append(row)
            elif (ended := self._end(coming)) is not None:
                if complete:
                    yield self._close_complete(complete)
                    complete = []
                yield ended
                self._forget_or_wait(row)
            if len(complete) == CLOSED_AT_ONCE:
                yield self._close_complete(complete)
                complete = []
        if complete:
            yield self._close_complete(complete)
        self._next_due = min(near[0][0] if near else FAR, calendar.next_opening)

    def close_beyond(self, cap: int) -> Iterator[CompleteDecisions | Unfinished]:
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
        began = None if watermark == NO_WATERMARK else watermark
        return FirstOffset(self._table.first_offsets[row], began, self._table.keys[row])

    def _row(self, key: bytes, offset: int, time: int) -> int | None:
        """The row of an event, a new one if need be; None when the watermark may have ended it."""
        table, watermark = self._table, self.watermark
        row = table.by_key.get(key)
        if row is None:
            self.open_count += 1
            return table.begin(key, offset, time, watermark)
        if watermark is not None and table.oldest[row] + self._window <= watermark and self._next_due <= watermark:
            return None
        if time > table.newest[row]:
            table.newest[row] = time
        elif time < table.oldest[row]:
            table.oldest[row] = time
        return row

    def _complete(self, row: int) -> None:
        """All that an example needs is there: what came early is tallied."""
        self._table.states[row] = COMPLETE
        if row not in self._table.early:
            return
        for event in self._table.early.pop(row).values():
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
        counting = [objective for objective, attribution in self._counting.get(kind, ()) if 0 <= delay <= attribution]
        if counting:
            totals = list(table.totals[row])
            for objective in counting:
                totals[objective] += value
            table.totals[row] = tuple(totals)
        else:
            table.outside[row] += 1
        return True

    def _await(self, at: int, offset: int, due: Due, row: int) -> None:
        """Have the row looked at when the watermark reaches `at`."""
        if not self._calendar.enter(at, row):
            heapq.heappush(self._near, (at, offset, due, row, None))
        if at < self._next_due:
            self._next_due = at

    def _await_expiry(self, row: int, offset: int, time: int, engagement: InputEvent | None) -> None:
        """Have the event at this offset looked at a window after its time; without `engagement` it is a part."""
        at = time + self._window
        if not self._calendar.enter(at, row):
            event = engagement or next(part for part in self._table.held(row) if part.record.offset == offset)
            heapq.heappush(self._near, (at, offset, Due.EXPIRE, row, event))
        if at < self._next_due:
            self._next_due = at

    def _bring_near(self, row: int) -> None:
        """What will come of a row that the calendar gave out."""
        table, near, window = self._table, self._near, self._window
        state, offset = table.states[row], table.first_offsets[row]
        if state == FREE:
            return
        if state != CLOSED and self._requests.values[row] is not None:
            heapq.heappush(near, (self._requests.times[row] + window, offset, Due.CLOSE, row, None))
            return
        for event in table.held(row) if state == OPEN else ():
            at = event.event_time + window
            if self._calendar.is_open(at):
                heapq.heappush(near, (at, event.record.offset, Due.EXPIRE, row, event))
        heapq.heappush(near, (table.newest[row] + window, offset, Due.FORGET, row, None))

    def _end(self, coming: Coming) -> Unfinished | Expired | None:
        """Ends a decision that makes no example, or an event without a request; None when that is no longer so."""
        _, _, due, row, event = coming
        if event is not None:
            return Expired(event) if self._expires(row, event) else None
        return self._close_unfinished(row) if due is Due.CLOSE and self._closes(coming) else None

    def _closes(self, coming: Coming) -> bool:
        """Whether this is still the time at which the open decision in the row closes."""
        table, requests, (at, offset, _, row, _) = self._table, self._requests, coming
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
            early = table.early.get(row, NOTHING)
            held = early.get(event.engagement[0])
            if held is None or held.record.offset != event.record.offset:
                return False
            del early[event.engagement[0]]
            return True
        column = table.parts[event.name]
        if column.values[row] is None or column.offsets[row] != event.record.offset:
            return False
        table.drop_part(row, event.name)
        return True

    def _close_complete(self, rows: list[int]) -> CompleteDecisions:
        """What these rows, marked closed already, were; lets go of what they held."""
        closed = read_complete(self._table, rows)
        self.open_count -= len(rows)
        for row in rows:
            self._table.release(row)
            self._remember_or_forget(row)
        return closed

    def _close_unfinished(self, row: int) -> Unfinished:
        """Ends an open decision that makes no example."""
        table = self._table
        missing = tuple(name for name in PARTS if name in NEEDED and table.parts[name].values[row] is None)
        ended = Unfinished(table.part(row, r.REQUEST), missing, tuple(table.held(row)))
        table.states[row] = CLOSED
        self.open_count -= 1
        table.release(row)
        return ended

    def _close_first(self) -> CompleteDecisions | Unfinished:
        table, row = self._table, self._table.first_open()
        assert row is not None
        self.floor = max(self.floor, table.first_offsets[row] + 1)
        if table.states[row] == COMPLETE:
            table.states[row] = CLOSED
            return self._close_complete([row])
        ended = self._close_unfinished(row)
        self._forget_or_wait(row)
        return ended

    def _forget_or_wait(self, row: int) -> None:
        """Forgets a row that holds nothing, as soon as its newest event is a window old."""
        if self._table.states[row] != FREE and not self._table.holds_anything(row):
            self._remember_or_forget(row)

    def _remember_or_forget(self, row: int) -> None:
        table, watermark = self._table, self.watermark
        passed = table.newest[row] + self._window
        if watermark is None or passed > watermark:
            self._await(passed, table.first_offsets[row], Due.FORGET, row)
            return
        if table.is_open(row):
            self.open_count -= 1
            table.release(row)
        table.forget(row)


def _after_close(key: bytes) -> Rejected:
    return Rejected(Fate.ORPHAN, f"decision {key.decode()!r} had closed already")
