"""Replays an existing log as events, in event-time order, with the times and propensities of the log.

Request ids and bytes depend only on the row, so a second replay of a file adds duplicates, not data.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.dead_letter import MALFORMED, dead_letter
from event_schemas.errors import MalformedRecord, TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.log_record import LogRecord
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.outgoing_event import LARGEST_EVENT, EventSender, OutgoingEvent, fault_of
from producers.loggers.heartbeats import send_heartbeats
from producers.replay.column_mapping import ColumnMapping
from producers.replay.doubtful_values import DoubtfulValues
from producers.replay.log_rows import LogRow
from producers.replay.replay_pacing import Pacer
from producers.replay.row_events import BadRow, RowEvents, RowTranslator, row_as_json

CHUNK_ROWS = 200
MAX_IN_FLIGHT = 20_000
FLUSH_SECONDS = 30.0
FIX_MARK = " | fix: "
"""Stands before the fix in the detail of a bad row."""

log = structlog.get_logger(__name__)


class HistoryUnderLiveClock(TrimtabError):
    """The rows are too old for a join whose watermark follows the wall clock."""


class NothingReplayed(TrimtabError):
    """A log has no rows, or none of them is a decision."""


class ReplayIncomplete(TrimtabError):
    """Some events were not acknowledged, so heartbeats must not close the windows."""


@dataclass(frozen=True)
class ReplayPlan:
    """How a replay maps rows to events, and where it writes them.

    `file` names the log in request ids and dead letters; `partitions` is the number of partitions of
    `events_topic`, each of which gets a closing heartbeat.
    """

    mapping: ColumnMapping
    experiment: Experiment
    codec: Codec
    file: str
    events_topic: str
    dead_letters_topic: str
    partitions: int


@dataclass
class ReplaySummary:
    """What a replay did: `decisions` + `bad_rows` = `rows`; `events` counts records handed in, by type.

    `first_fault` is the detail of the first bad row, with its fix. See `DoubtfulValues` for the last two.
    """

    rows: int = 0
    decisions: int = 0
    bad_rows: int = 0
    events: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    first_event_time: int | None = None
    last_event_time: int | None = None
    delivery: DeliveryCounts = field(default_factory=DeliveryCounts)
    first_fault: str | None = None
    undeclared_cohorts: int = 0
    placeholder_users: int = 0

    def require_decisions(self, log_file: str) -> None:
        """Raises NothingReplayed when `log_file` had no rows, or all of them were bad."""
        if not self.rows:
            raise NothingReplayed(f"{log_file}: has no rows", fix="give a log with a row for each decision")
        if not self.decisions:
            what, _, fix = (self.first_fault or "").rpartition(FIX_MARK)
            none = "the only row is not" if self.rows == 1 else f"none of the {self.rows:,} rows is"
            raise NothingReplayed(
                f"{none} a decision; {what}",
                fix=f"{fix}; then replay the log again; `trimtab dead-letters list` shows every row",
            )

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain values."""
        return {
            "decisions": self.decisions,
            "rows": self.rows,
            "bad_rows": self.bad_rows,
            "events": dict(sorted(self.events.items())),
            "bytes": self.bytes,
            "undeclared_cohorts": self.undeclared_cohorts,
            "placeholder_users": self.placeholder_users,
            "first_event_time": self.first_event_time,
            "last_event_time": self.last_event_time,
            "handed_in": self.delivery.handed_in,
            "acknowledged": self.delivery.acknowledged,
            "spooled": self.delivery.spooled,
            "dropped": self.delivery.dropped,
        }


def replay_rows(
    rows: Iterable[LogRow],
    plan: ReplayPlan,
    sender: EventSender,
    *,
    pacer: Pacer | None = None,
    progress: Callable[[ReplaySummary], None] | None = None,
    clock: Callable[[], int] = wall_clock_ms,
) -> ReplaySummary:
    """Writes every row's events and closes their windows; `rows` must be in event-time order, as from `read_rows`.

    1. Write each row's Request, Action and Propensity, and between rows the engagements that are due; a bad row becomes
       a dead letter.
    2. Write the remaining engagements.
    3. Once everything is acknowledged, write a heartbeat past the last window into every partition.

    The join refuses event times ahead of the clock, so they do not move that heartbeat, and it is never ahead itself:
    windows that end in the future stay open. Raises MappingError before anything is sent, HistoryUnderLiveClock before
    the first decision is sent, and ReplayIncomplete instead of step 3.
    """
    plan.mapping.check_against(plan.experiment)
    translator = RowTranslator(plan.mapping, plan.experiment, plan.file)
    run = _Run(plan, sender, clock())
    for row in rows:
        outcome = translator.translate(row)
        if isinstance(outcome, BadRow):
            run.dead_letter(row, outcome)
        else:
            run.decision(row, outcome)
        if run.summary.rows % CHUNK_ROWS == 0:
            run.let_catch_up(pacer)
            if progress is not None:
                progress(run.summary)
    run.finish()
    if progress is not None:
        progress(run.summary)
    return run.summary


class _Run:
    """The state of one replay: the engagements still to be sent, and the summary so far."""

    def __init__(self, plan: ReplayPlan, sender: EventSender, now: int) -> None:
        self._plan = plan
        self._sender = sender
        self._before = sender.counts()
        self._now = now
        self._latest = now + plan.experiment.join.max_future_skew
        self._ends: int | None = None
        self._due: list[tuple[int, int, bytes, bytes]] = []
        self._queued = 0
        self._doubtful = DoubtfulValues([cohort.name for cohort in plan.experiment.cohorts])
        self.summary = ReplaySummary()

    def decision(self, row: LogRow, events: RowEvents) -> None:
        """Sends the engagements due before the decision, then the decision, and queues its engagements.

        A row with an event that is too large or does not fit its schema is a bad row, and none of it is sent.
        """
        request_id, event_time = events.request["request_id"], events.request["event_time"]
        if not self.summary.decisions:
            self._check_clock(event_time)
        try:
            parts = [self._encode(name, record) for name, record in _parts(events)]
            engagements = [self._encode(r.ENGAGEMENT, engagement) for engagement in events.engagements]
        except TrimtabError as refused:
            self.dead_letter(row, BadRow(f"row {row.number} of {self._plan.file}: {refused}", request_id, event_time))
            return
        self._doubtful.note(events.request)
        self._send_engagements(event_time)
        key = request_id.encode()
        for (name, _), value in zip(_parts(events), parts, strict=True):
            self._send(key, name, value)
        for engagement, value in zip(events.engagements, engagements, strict=True):
            self._queued += 1
            heapq.heappush(self._due, (engagement["event_time"], self._queued, key, value))
        self.summary.rows += 1
        self.summary.decisions += 1
        self._saw(event_time)

    def _check_clock(self, event_time: int) -> None:
        """Raises HistoryUnderLiveClock when a live join would treat old rows as late.

        In an idle partition such a join writes heartbeats with the current time; older rows are late after that.
        """
        join, ended = self._plan.experiment.join, event_time + self._plan.experiment.window_ms
        if join.clock == "live" and ended <= self._now - join.producer_delay:
            raise HistoryUnderLiveClock(
                f'{self._plan.file} begins at {event_time} ms, a window or more ago, but join.clock is "live": '
                "the join's heartbeats would make its rows late",
                fix='set join.clock = "replay" in an experiment file with a topic prefix of its own',
            )

    def dead_letter(self, row: LogRow, bad: BadRow) -> None:
        """Writes a bad row to the dead letters: the file as topic, the row's number as offset, its JSON as value."""
        letter = dead_letter(_place(row, bad, self._plan.file), MALFORMED, bad.detail, bad.request_id, bad.event_time)
        value = self._plan.codec.encode(r.DEAD_LETTER, letter)
        self._send(letter["key"], r.DEAD_LETTER, value, self._plan.dead_letters_topic)
        self.summary.rows += 1
        self.summary.bad_rows += 1
        self.summary.first_fault = self.summary.first_fault or bad.detail

    def let_catch_up(self, pacer: Pacer | None) -> None:
        """Waits for the sender's queue and for the pacer; raises ReplayIncomplete when the sender has a fault."""
        if fault_of(self._sender) is not None:
            self._acknowledged()
        if self._sender.counts().in_flight > MAX_IN_FLIGHT:
            self._sender.flush(FLUSH_SECONDS)
        if pacer is not None:
            pacer.wait(self.summary.bytes, sum(self.summary.events.values()))

    def finish(self) -> None:
        """Sends the remaining engagements, waits for all acknowledgements and closes the windows."""
        self._send_engagements(None)
        self._doubtful.tell()
        self.summary.undeclared_cohorts = self._doubtful.undeclared_cohorts
        self.summary.placeholder_users = self._doubtful.placeholder_users
        self._acknowledged()
        if self._ends is not None:
            closing = self._ends + self._plan.experiment.window_ms + 1
            if closing > self._latest:
                log.warning("the last windows end in the future and stay open", fix="run replay --heartbeat-at later")
                closing = self._latest
            send_heartbeats(self._sender, self._plan.codec, self._plan.events_topic, self._plan.partitions, closing)
            self.summary.events[r.HEARTBEAT] += self._plan.partitions
            self._acknowledged()

    def _acknowledged(self) -> None:
        after = self._sender.flush(FLUSH_SECONDS)
        self.summary.delivery = _difference(after, self._before)
        open_events = self.summary.delivery.handed_in - self.summary.delivery.acknowledged
        if open_events:
            fault = fault_of(self._sender)
            raise ReplayIncomplete(
                f"{open_events} of {self.summary.delivery.handed_in} events were not acknowledged by the broker"
                f"{f': {fault}' if fault else ''}",
                fix="check the broker and this user's rights there, then replay the same file again: events that "
                "already arrived count as duplicates",
            )

    def _send_engagements(self, until: int | None) -> None:
        while self._due and (until is None or self._due[0][0] <= until):
            event_time, _, key, value = heapq.heappop(self._due)
            self._send(key, r.ENGAGEMENT, value)
            self._saw(event_time)

    def _encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """The event's bytes; raises MalformedRecord, also for an event that is too large."""
        value = self._plan.codec.encode(name, record)
        if len(value) > LARGEST_EVENT:
            raise MalformedRecord(
                f"{name} has {len(value)} bytes, more than {LARGEST_EVENT}", fix="shorten the columns' values"
            )
        return value

    def _send(self, key: bytes | None, name: str, value: bytes, topic: str | None = None) -> None:
        self._sender.send(OutgoingEvent(topic or self._plan.events_topic, key, value, name))
        self.summary.events[name] += 1
        self.summary.bytes += len(value)

    def _saw(self, event_time: int) -> None:
        if event_time <= self._latest:
            self._ends = event_time if self._ends is None else max(self._ends, event_time)
        first, last = self.summary.first_event_time, self.summary.last_event_time
        self.summary.first_event_time = event_time if first is None else min(first, event_time)
        self.summary.last_event_time = event_time if last is None else max(last, event_time)


def _place(row: LogRow, bad: BadRow, file: str) -> LogRecord:
    """A bad row as a record of a log: the file is the topic, the row's number the offset."""
    key = None if bad.request_id is None else bad.request_id.encode(errors="backslashreplace")
    return LogRecord(file, 0, row.number, 0, key, row_as_json(row))


def _parts(events: RowEvents) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    return (r.REQUEST, events.request), (r.ACTION, events.action), (r.PROPENSITY, events.propensity)


def _difference(after: DeliveryCounts, before: DeliveryCounts) -> DeliveryCounts:
    return DeliveryCounts(
        after.handed_in - before.handed_in,
        after.acknowledged - before.acknowledged,
        after.spooled - before.spooled,
        after.dropped - before.dropped,
    )
