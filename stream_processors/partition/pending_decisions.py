"""The decisions of one partition that are still open, and those that have closed but are not yet forgotten.

A decision is all events of one request_id. It is *remembered* from its first event until the watermark reaches its
newest event time plus the window. That makes a rebuild exact, which reads the log again from the first event of the
oldest remembered decision. Every remembered decision is read whole. Of a decision that began earlier only some events
are read, but they leave no trace: whatever the rebuild makes of them ends a window after their newest event at the
latest. The decision itself was not forgotten any earlier, and it was forgotten before the rebuild ends.

While it is remembered, a decision is first *open* and then closed:

- with a request, it closes when the watermark reaches request time + window;
- without one, its events expire one by one, each at its own event time + window;
- the cap closes the one with the lowest first offset early.

Once request, action and propensity are there, no event of the decision can become a dead letter any more. Engagements
are tallied on arrival from then on, and only their ids are kept. Before that they are held whole.

`advance` closes what the watermark has ended. It may be called later than the watermark moved, and then closes many
decisions at a time, as long as nothing depends on them: `hold_part` and `hold_engagement` refuse an event whose
decision may have ended meanwhile (`OVERDUE`). Whether a closed decision is still remembered follows from its newest
event time alone; its row is freed a little later, many rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.log_record import LogRecord
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.partition.columnar_holding import ColumnarHolding, Held
from stream_processors.partition.complete_decisions import CompleteDecisions, read_complete
from stream_processors.partition.decision_table import (
    CLOSED,
    COMPLETE,
    HAVE,
    NEEDED_BITS,
    NO_WATERMARK,
    OPEN,
    DecisionTable,
)
from stream_processors.partition.engagement_ids import with_id
from stream_processors.partition.expiry_queue import Due, ExpiryQueue
from stream_processors.partition.first_offset import FirstOffset
from stream_processors.partition.held_parts import NEEDED, HeldPart
from stream_processors.partition.timer_buckets import TimerBuckets
from stream_processors.partition.watermark_course import WatermarkCourse
from stream_processors.rule.claims import may_contradict
from stream_processors.rule.contradictions import OTHER, Contradictions
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import EngagementFields, InputEvent
from stream_processors.rule.join_rule import JoinRule, OutsideReason

CLOSED_AT_ONCE = 500
SUMS_KEPT = 4_096
"""Up to this many different sums are kept as one object each, for all decisions that have them."""


class Rejected(NamedTuple):
    """The answer about an event that is not held: its fate, and why."""

    fate: Fate
    detail: str


class Unfinished(NamedTuple):
    """A decision that closed without request, action or propensity: its request, if it has one, and all its events."""

    request: InputEvent | None
    missing: tuple[str, ...]
    events: tuple[InputEvent, ...]


class Expired(NamedTuple):
    """An event whose own window ended before a request came."""

    event: InputEvent


Ended = CompleteDecisions | Unfinished | Expired
DUPLICATE = Rejected(Fate.DUPLICATE, "")
OVERDUE = Rejected(Fate.ORPHAN, "advance first")
"""Not a verdict: the watermark may have ended this decision. Call `advance`, then ask again."""
NOTHING: dict[str, InputEvent] = {}


class PendingDecisions:
    """Holds events until the watermark ends their decision. Every method takes amortised constant time per event."""

    def __init__(self, rule: JoinRule, partition: int, codec: Codec) -> None:
        self._rule, self._window = rule, rule.window_ms
        self._counting = rule.counting_by_kind()
        self._partition = partition
        self._contradictions = Contradictions(codec, rule)
        self._table = DecisionTable(len(rule.objectives), partition, codec.lifts)
        self._row_of = self._table.index.get
        outside = dict(zip(OutsideReason, self._table.outside, strict=True))
        # By kind, the counts of those before their request, and of the others: asking the rule takes longer.
        self._outside = {
            kind: [outside[rule.outside_reason(kind, delay)] for delay in (-1, 0)] for kind in self._counting
        }
        self._unknown = [outside[OutsideReason.UNKNOWN_KIND]] * 2
        self._expiries = ExpiryQueue(self._table, rule.window_ms)
        self._timers = self._expiries.timers
        self._forgetting = TimerBuckets(rule.window_ms)
        self._plain = ColumnarHolding(self._table, self._timers, rule.window_ms, self)
        self._sums: dict[tuple[float, ...], tuple[float, ...]] = {}
        self.watermark: int | None = None
        """Largest event time seen (ms), None before the first; `PartitionJoin` moves it."""
        self.open_count = 0
        """Number of open decisions."""
        self.floor = 0
        """Decisions that began before this offset and whose window has not ended were closed early."""

    @property
    def topic(self) -> str:
        """The topic that events came from; the events of decisions without example carry it."""
        return self._table.topic

    @topic.setter
    def topic(self, topic: str) -> None:
        self._table.topic = topic

    def hold_part(
        self, name: str, key: bytes, part: HeldPart, resolved: bytes | None = None, claims: int = 0
    ) -> Rejected | None:
        """Step 5 for a Request, Action, Propensity or Ranking that is neither late nor future; None when it is held.

        `resolved` is its datum in the newest schema if its version cannot be lifted. `claims` are those of an Action or
        a Propensity (`rule.claims`).
        """
        value, offset, time = part
        row = self._row(key, offset, time)
        if row is None:
            return OVERDUE
        table = self._table
        state = table.states[row]
        if state == CLOSED:
            return _after_close(key)
        if table.have[row] & HAVE[name]:
            if table.parts.is_first(row, name, table.parts.newest_datum(value, resolved)):
                return DUPLICATE
            began = table.first_offsets[row]
            return Rejected(Fate.CONFLICT, f"another {name} of its decision, begun at offset {began}, came first")
        claims |= table.claims[row]
        if may_contradict(claims) and (fault := self._contradiction(row, name, part, resolved)) is not None:
            return Rejected(Fate.MALFORMED, fault)
        table.hold_part(row, name, part, resolved)
        table.claims[row] = claims
        if time + self._window < self._timers.opened_end:
            self._add_near_expiry(row, name, offset, time)
        if state == OPEN and table.have[row] & NEEDED_BITS == NEEDED_BITS:
            self.complete_rows([row])
        return None

    def _contradiction(self, row: int, name: str, part: HeldPart, resolved: bytes | None) -> str | None:
        """Why an Action or Propensity that is new to a row contradicts the other one; None when it does not."""
        held = self._table.part_event(row, OTHER[name]) if name in OTHER else None
        if held is None:
            return None
        return self._contradictions.between(self._table.event_of(row, name, part, resolved), held)

    def hold_engagement(
        self, engagement: EngagementFields, key: bytes, value: bytes, offset: int, time: int
    ) -> Rejected | None:
        """Step 5 for an Engagement that is neither late nor future; None when it is held."""
        row = self._row(key, offset, time)
        if row is None:
            return OVERDUE
        if self._table.states[row] == CLOSED:
            return _after_close(key)
        return None if self.add_engagement(row, engagement, offset, time, value) else DUPLICATE

    def hold_plain(self, validated: ValidatedRecords, course: WatermarkCourse, cap: int) -> Held:
        """Does what `hold_part` and `hold_engagement` do for the plain events of a chunk, and says which are left."""
        return self._plain.hold_plain(validated, course, cap)

    def add_engagement(self, row: int, engagement: EngagementFields, offset: int, time: int, value: bytes) -> bool:
        """Adds an engagement to an open decision; False when it has one of that id already."""
        table = self._table
        if table.states[row] == COMPLETE:
            return self._tally(row, time, engagement)
        key = table.keys[row]
        record = LogRecord(table.topic, self._partition, offset, 0, key, value)
        event = InputEvent(record, r.ENGAGEMENT, key.decode(), time, engagement=engagement)
        if table.early.setdefault(row, {}).setdefault(engagement[0], event) is not event:
            return False
        if time + self._window < self._timers.opened_end and not table.have[row] & HAVE[r.REQUEST]:
            self._expiries.add(time + self._window, offset, Due.EXPIRE, row, event)
        return True

    def advance(self) -> Iterator[Ended]:
        """Step 6: yields what the watermark has ended.

        Complete decisions come many at a time, in the order in which they closed. The other results are in order too.
        """
        watermark = self.watermark
        if watermark is None:
            return
        table, complete = self._table, list[int]()
        states, first_offsets = table.states, table.first_offsets
        for _, offset, due, row, event in self._expiries.pop_due(watermark):
            if due is Due.CLOSE:
                if first_offsets[row] != offset:  # another decision's row by now
                    continue
                if states[row] == COMPLETE:
                    states[row] = CLOSED
                    complete.append(row)
                    if len(complete) == CLOSED_AT_ONCE:
                        yield self._close_complete(complete)
                        complete = []
                elif states[row] == OPEN:
                    yield self._close_unfinished(row)
            elif event is not None and self._expires(row, event):
                yield Expired(event)
                self._forget_if_empty(row, watermark)
            elif due is Due.FORGET:
                self._forget_if_empty(row, watermark)
        if complete:
            yield self._close_complete(complete)
        self._forget_or_wait([row for row in self._forgetting.open_passed(watermark) if states[row] == CLOSED])

    def close_beyond(self, cap: int) -> Iterator[CompleteDecisions | Unfinished]:
        """Step 7: closes the open decisions with the lowest first offsets until no more than `cap` are open."""
        while self.open_count > cap:
            yield self._close_first()

    def close_before(self, floor: int) -> None:
        """Closes every open decision that began before `floor`: the cap closed them early before a restart."""
        while (first := self.first_open()) is not None and first.offset < floor:
            self._close_first()
        self.floor = max(self.floor, floor)

    def first_open(self) -> FirstOffset | None:
        """Where the first of the open decisions began."""
        return self._first(self._table.first_open())

    def first_remembered(self) -> FirstOffset | None:
        """Where the first of the remembered decisions began."""
        since = NO_WATERMARK if self.watermark is None else self.watermark - self._window + 1
        return self._first(self._table.first_remembered(since))

    def _first(self, row: int | None) -> FirstOffset | None:
        if row is None:
            return None
        table = self._table
        began = table.watermarks[row]
        watermark = None if began == NO_WATERMARK else began
        return FirstOffset(table.first_offsets[row], watermark, table.keys[row], table.oldest[row])

    def _row(self, key: bytes, offset: int, time: int) -> int | None:
        """The row for an event, a new one if its decision has none; None when the watermark may have ended it."""
        table, row, window = self._table, self._row_of(key), self._window
        if row is None:
            return self._begin(key, offset, time)
        oldest = table.oldest[row]
        watermark = self.watermark
        if watermark is not None and oldest + window <= watermark:
            if table.states[row] == CLOSED and table.newest[row] + window <= watermark:
                table.forget(row)
                return self._begin(key, offset, time)
            if self._expiries.next_due <= watermark:
                return None
        if oldest + window < self._timers.opened_end:
            self._timers.enter(time + window, row)
        if time > table.newest[row]:
            table.newest[row] = time
        elif time < oldest:
            table.oldest[row] = time
            self._timers.enter(time + window, row)
        return row

    def _begin(self, key: bytes, offset: int, time: int) -> int:
        row = self._table.begin(key, offset, time, self.watermark)
        self._timers.enter(time + self._window, row)
        self.open_count += 1
        return row

    def _add_near_expiry(self, row: int, name: str, offset: int, time: int) -> None:
        """Adds what a part that was just held brings within a bucket that is open already."""
        if name == r.REQUEST:
            self._expiries.add(time + self._window, self._table.first_offsets[row], Due.CLOSE, row)
        elif not self._table.have[row] & HAVE[r.REQUEST]:
            self._expiries.add(time + self._window, offset, Due.EXPIRE, row, self._table.part_event(row, name))

    def complete_rows(self, rows: Sequence[int]) -> None:
        """All that an example needs is there for these rows: tallies the engagements that came early."""
        self._table.mark_complete(rows)
        early = self._table.early
        for row in rows if early else ():
            for event in early.pop(row, NOTHING).values():
                assert event.engagement is not None
                self._tally(row, event.event_time, event.engagement)

    def _tally(self, row: int, time: int, engagement: EngagementFields) -> bool:
        """Counts an engagement of a complete decision; False when its id was tallied before."""
        table, (engagement_id, kind, value) = self._table, engagement
        seen = table.seen[row]
        if seen is None:
            table.seen[row] = engagement_id
        elif (seen := with_id(seen, engagement_id)) is None:
            return False
        else:
            table.seen[row] = seen
        table.tallied[row] += 1
        delay = time - table.request_times[row]
        totals = before = table.totals[row]
        for objective, attribution in self._counting.get(kind, ()):
            if 0 <= delay <= attribution:
                totals = (*totals[:objective], totals[objective] + value, *totals[objective + 1 :])
        if totals is before:
            early, late = self._outside.get(kind, self._unknown)
            (early if delay < 0 else late)[row] += 1
        else:
            table.totals[row] = self._shared(totals)
        return True

    def _shared(self, totals: tuple[float, ...]) -> tuple[float, ...]:
        """The same sums, as one object for all decisions that have them if they are among the first `SUMS_KEPT`."""
        if len(self._sums) < SUMS_KEPT:
            return self._sums.setdefault(totals, totals)
        return self._sums.get(totals, totals)

    def _expires(self, row: int, event: InputEvent) -> bool:
        """Takes an event out of its row; False when it is no longer there or its request has come."""
        table = self._table
        if table.have[row] & HAVE[r.REQUEST]:
            return False
        if event.engagement is not None:
            early = table.early.get(row, NOTHING)
            held = early.get(event.engagement[0])
            if held is None or held.record.offset != event.record.offset:
                return False
            del early[event.engagement[0]]
            if not early:
                del table.early[row]
            return True
        part = table.parts.alone(row, event.name)
        if part is None or part[1] != event.record.offset:
            return False
        table.drop_part(row, event.name)
        return True

    def _close_complete(self, rows: list[int]) -> CompleteDecisions:
        """The decisions in rows that are marked closed already; lets what they held go."""
        closed = read_complete(self._table, rows)
        self.open_count -= len(rows)
        self._table.release(rows)
        self._forget_or_wait(rows)
        return closed

    def _close_unfinished(self, row: int) -> Unfinished:
        """Closes an open decision that gives no example."""
        table = self._table
        missing = tuple(name for name in NEEDED if not table.have[row] & HAVE[name])
        ended = Unfinished(table.part_event(row, r.REQUEST), missing, tuple(table.events_in(row)))
        table.states[row] = CLOSED
        self.open_count -= 1
        table.release_unfinished(row)
        self._forget_or_wait([row])
        return ended

    def _close_first(self) -> CompleteDecisions | Unfinished:
        table, row = self._table, self._table.first_open()
        assert row is not None
        self.floor = max(self.floor, table.first_offsets[row] + 1)
        if table.states[row] == COMPLETE:
            table.states[row] = CLOSED
            return self._close_complete([row])
        return self._close_unfinished(row)

    def _forget_or_wait(self, rows: Sequence[int]) -> None:
        """Forgets closed rows whose newest events are a window old, and enters the others to be forgotten later."""
        newest, window, watermark = self._table.newest, self._window, self.watermark
        for row in rows:
            passed = newest[row] + window
            if watermark is None or passed > watermark:
                self._forgetting.enter(passed, row)
            else:
                self._table.forget(row)

    def _forget_if_empty(self, row: int, watermark: int) -> None:
        """Forgets an open row that holds nothing if its newest event is a window old; otherwise adds that as due."""
        table = self._table
        if table.states[row] != OPEN or table.holds_anything(row):
            return
        passed = table.newest[row] + self._window
        if passed > watermark:
            self._expiries.add(passed, table.first_offsets[row], Due.FORGET, row)
            return
        self.open_count -= 1
        table.forget(row)


def _after_close(key: bytes) -> Rejected:
    return Rejected(Fate.ORPHAN, f"decision {key.decode()!r} had closed already")
