"""Logs decisions: Request when decided, Action, Propensity and Ranking when applied, and tallies."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.instant import wall_clock_ms
from event_schemas.process_fork import renew_in_children
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.exit_hook import QUEUE_SECONDS
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import EventSender, OutgoingEvent
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.decision_tally import DecisionTally
from producers.loggers.encoding_queue import EncodingQueue, UnencodedEvent
from producers.loggers.exploration_notice import ExplorationNotices, ExplorationPlan
from producers.loggers.tally_sources import TallySources, source_name

ROW_MS = 100
"""Each row of a tally delays the next one by at least this much, so that a process writes about 150 bytes a second."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TallyPlan:
    """Where and how often (milliseconds) a process reports its decisions; less often if it has more than 100 rows.

    Counts start at zero with the process, so `source` names one run of it, such as `node-3.1764000000`. Each day, and
    whenever its table is full, the process goes on as a new source, `node-3.1764000000#2` and so on. A forked child is
    a separate source: its process id and the time of its first tally are appended to the name.
    """

    topic: str
    source: str
    every_ms: int = 10_000


class DecisionLogger:
    """Logs decisions without delaying the caller or raising to it.

    Every method returns at once; encoding and sending happen on a background thread. Records handed in belong
    to the logger and must not be changed afterwards. A tally counts *applied* decisions, logged or not: the
    sample-ratio test compares it with the exploration rates. Callers on any thread count under a lock; the background
    thread copies the counts under it, and builds and encodes tallies without it.
    """

    def __init__(
        self,
        codec: Codec,
        sender: EventSender,
        topic: str,
        *,
        tally: TallyPlan | None = None,
        clock: Callable[[], int] = wall_clock_ms,
        max_queued: int = 20_000,
    ) -> None:
        self._codec = codec
        self._sender = sender
        self._topic = topic
        self._plan = tally
        self._clock = clock
        self._process = "" if tally is None else tally.source
        self._begin()
        self._notices = ExplorationNotices(codec, sender, clock)
        self._queue = EncodingQueue(
            codec, sender, max_queued, self._tell_when_due, self._tell, self._notices.send_when_due
        )
        renew_in_children(self)

    def tell_exploration(self, plan: ExplorationPlan) -> None:
        """Writes settings that decisions are drawn with to their topic: before the next event, then repeatedly.

        It may be called at any time and from any thread, again for further settings, and returns at once. The
        background thread writes them within 0.1 s, or when it starts. A forked child writes them too.
        """
        self._notices.tell(plan)

    def untell_exploration(self, digest: str) -> None:
        """Ends the repetition of the settings with this digest that were told last; what was written stays."""
        self._notices.untell(digest)

    def log_request(self, request: r.RequestRecord) -> bool:
        """Queues the Request of a decision; False when it was dropped (queue full) and counted as dropped."""
        return self._queue.submit(UnencodedEvent(self._topic, _key(request["request_id"]), r.REQUEST, request))

    def log_applied(
        self,
        applied: AppliedDecision,
        action: r.ActionRecord,
        propensity: r.PropensityRecord,
        ranking: r.RankingRecord | None = None,
    ) -> bool:
        """Queues the rest of an applied decision and counts it in the tally; False when it was dropped."""
        self._count(applied)
        key = _key(action["request_id"])
        parts = [UnencodedEvent(self._topic, key, r.ACTION, action)]
        parts.append(UnencodedEvent(self._topic, key, r.PROPENSITY, propensity))
        if ranking is not None:
            parts.append(UnencodedEvent(self._topic, key, r.RANKING, ranking))
        return self._queue.submit(*parts)

    def count_unlogged(self, applied: AppliedDecision) -> None:
        """Counts an applied decision that sampling left out of the log."""
        self._count(applied)

    def decisions_by_slice(self) -> dict[str, int]:
        """Applied decisions since the process began, by slice."""
        with self._lock:
            return dict(self._slices)

    def flush(self, timeout_s: float = 5.0) -> DeliveryCounts:
        """Waits at most `timeout_s` each for queue and sender; `in_flight == 0` means every event has its fate."""
        self._queue.drain(timeout_s)
        return self._sender.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> DeliveryCounts:
        """Hands over queued events and a last tally, and flushes the sender, which stays open, for `timeout_s`.

        Encoding gets at least 5 s even if `timeout_s` is shorter; events still queued then count as dropped.
        """
        self._queue.close(max(timeout_s, QUEUE_SECONDS))
        return self._sender.flush(timeout_s)

    def after_fork(self) -> None:
        """Starts the counts at zero, because the parent reports its own, and writes the exploration settings again."""
        self._begin()
        self._notices.renew()
        self._process = ""

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._slices: Counter[str] = Counter()
        self._sources = TallySources()
        self._next_tally: int | None = None

    def _count(self, applied: AppliedDecision) -> None:
        if self._plan is not None:
            self._queue.start()
        with self._lock:
            self._slices[applied.slice] += 1
            if self._plan is not None:
                self._sources.add(applied)

    def _tell_when_due(self) -> None:
        if self._plan is None:
            return
        now = self._clock()
        with self._lock:
            self._sources.turn(now)
            left, pause = self._sources.take_left(), max(self._plan.every_ms, self._sources.rows * ROW_MS)
        self._send(left, now)
        if self._next_tally is None:
            self._next_tally = now + pause
        elif not 0 < self._next_tally - now <= pause:  # also if the clock was set back
            self._next_tally = now + pause
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            told = self._sources.take()
            lost, self._sources.lost = self._sources.lost, 0
        for _ in range(lost):
            self._sender.reject(r.TALLY)
        self._send(told, self._clock())

    def _send(self, told: Sequence[DecisionTally], now: int) -> None:
        if self._plan is None or not told:
            return
        self._process = self._process or f"{self._plan.source}.{os.getpid()}-{now}"
        for tally in told:
            source = source_name(self._process, tally.number)
            try:
                value = self._codec.encode(r.TALLY, tally.record(source, now))
            except SchemaError as refused:
                log_safely(log.error, "tally dropped", what=refused.what)
                self._sender.reject(r.TALLY)
                continue
            self._sender.send(OutgoingEvent(self._plan.topic, source.encode(), value, r.TALLY))


def _key(request_id: str) -> bytes:
    return request_id.encode()
