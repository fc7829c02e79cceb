"""Logs decisions: Request when decided, Action, Propensity and Ranking when applied, and tallies."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
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
from producers.loggers.encoding_queue import EncodingQueue, UnencodedEvent

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TallyPlan:
    """Where and how often (milliseconds) a process reports its decisions by slice.

    Counts start at zero with the process, so `source` names one run of it, such as `node-3.1764000000`. A forked child
    is a separate source: its process id and the time of its first tally are appended to the name.
    """

    topic: str
    source: str
    every_ms: int = 10_000


class DecisionLogger:
    """Logs decisions without delaying the caller or raising to it.

    Every method returns at once; encoding and sending happen on a background thread. Records handed in belong
    to the logger and must not be changed afterwards. A tally counts *applied* decisions by slice, logged or
    not: the sample-ratio test compares it with the intended shares.
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
        self._tally = tally
        self._clock = clock
        self._source = "" if tally is None else tally.source
        self._begin()
        self._queue = EncodingQueue(codec, sender, max_queued, self._tell_when_due, self._tell)
        renew_in_children(self)

    def log_request(self, request: r.RequestRecord) -> bool:
        """Queues the Request of a decision; False when it was dropped (queue full) and counted as dropped."""
        return self._queue.submit(UnencodedEvent(self._topic, _key(request["request_id"]), r.REQUEST, request))

    def log_applied(
        self, action: r.ActionRecord, propensity: r.PropensityRecord, ranking: r.RankingRecord | None = None
    ) -> bool:
        """Queues the rest of an applied decision and counts it in the tally; False when it was dropped."""
        self._count(action["slice"])
        key = _key(action["request_id"])
        parts = [UnencodedEvent(self._topic, key, r.ACTION, action)]
        parts.append(UnencodedEvent(self._topic, key, r.PROPENSITY, propensity))
        if ranking is not None:
            parts.append(UnencodedEvent(self._topic, key, r.RANKING, ranking))
        return self._queue.submit(*parts)

    def count_unlogged(self, slice_name: str) -> None:
        """Counts an applied decision that sampling left out of the log."""
        self._count(slice_name)

    def decisions_by_slice(self) -> dict[str, int]:
        """Applied decisions so far, by slice."""
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
        """Starts the counts at zero: the parent reports its own."""
        self._begin()
        self._source = ""

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._slices: Counter[str] = Counter()
        self._told: Counter[str] = Counter()
        self._next_tally: int | None = None

    def _count(self, slice_name: str) -> None:
        if self._tally is not None:
            self._queue.start()
        with self._lock:
            self._slices[slice_name] += 1

    def _tell_when_due(self) -> None:
        if self._tally is None:
            return
        now = self._clock()
        if self._next_tally is None:
            self._next_tally = now + self._tally.every_ms
        elif now >= self._next_tally:
            self._next_tally = now + self._tally.every_ms
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            counts = self._slices.copy()
        if self._tally is None or counts == self._told:
            return
        self._told, now = counts, self._clock()
        self._source = self._source or f"{self._tally.source}.{os.getpid()}-{now}"
        record: r.TallyRecord = {
            "event_time": now,
            "source": self._source,
            "counts": [{"slice": name, "count": count} for name, count in sorted(counts.items(), key=str)],
        }
        try:
            value = self._codec.encode(r.TALLY, record)
        except SchemaError as refused:
            log_safely(log.error, "tally dropped", what=refused.what)
            self._sender.reject(r.TALLY)
            return
        self._sender.send(OutgoingEvent(self._tally.topic, self._source.encode(), value, r.TALLY))


def _key(request_id: str) -> bytes:
    return request_id.encode()
