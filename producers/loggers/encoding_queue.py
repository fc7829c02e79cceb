"""The thread that encodes records, so that Avro encoding never slows the request path."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.process_fork import renew_in_children
from producers.delivery.exit_hook import close_queue_at_exit
from producers.delivery.log_safely import log_safely
from producers.delivery.outgoing_event import EventSender, OutgoingEvent

IDLE_SECONDS = 0.1
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class UnencodedEvent:
    """A record for `topic`; it belongs to the queue from now on and must not be changed."""

    topic: str
    key: bytes | None
    name: str
    record: Mapping[str, Any]


class EncodingQueue:
    """A bounded queue and the background thread that encodes its records and hands them to the sender.

    Order is kept. The thread starts with `start` or the first `submit`, not in the constructor. Events that find the
    queue full, or that their schema rejects, count as dropped; the caller sees no exception. `before_batch` runs on the
    thread when it starts and before every batch, `on_idle` after every batch, both at least every `IDLE_SECONDS`; when
    the queue closes they run once more, followed by `on_close`. A forked child begins with an empty queue: the parent
    sends what it has queued itself.
    """

    def __init__(
        self,
        codec: Codec,
        sender: EventSender,
        max_queued: int = 20_000,
        on_idle: Callable[[], None] | None = None,
        on_close: Callable[[], None] | None = None,
        before_batch: Callable[[], None] | None = None,
    ) -> None:
        self._codec = codec
        self._sender = sender
        self._max_queued = max_queued
        self._on_idle = on_idle
        self._on_close = on_close
        self._before_batch = before_batch
        self._closed = False
        self._begin()
        renew_in_children(self)
        close_queue_at_exit(self)

    def submit(self, *events: UnencodedEvent) -> bool:
        """Queues the events together, or drops and counts all of them when the queue is full or closed.

        Returns whether they were queued. Waits for nothing except the queue's own lock.
        """
        with self._changed:
            accepted = len(self._queue) + len(events) <= self._max_queued and self._start_thread()
            if accepted:
                self._queue.extend(events)
                self._changed.notify_all()
        if not accepted:
            for event in events:
                self._sender.reject(event.name)
        return accepted

    def refuse(self, name: str, fault: Exception) -> None:
        """Counts an event of this record type that cannot be logged as dropped, and logs why."""
        self._sender.reject(name)
        told = fault if isinstance(fault, TrimtabError) else None
        what, fix = (told.what, told.fix) if told else (repr(fault), "hand in a plain record")
        log_safely(log.error, "event dropped", record=name, what=what, fix=fix)

    def start(self) -> None:
        """Starts the thread unless it is running, so that `on_idle` is called even before anything is submitted."""
        if self._thread is None:
            with self._changed:
                self._start_thread()

    def drain(self, timeout_s: float) -> bool:
        """Waits until every queued event has gone to the sender; False when `timeout_s` passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._encoding, timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Accepts no more events, hands over the queued ones and ends the thread; False when `timeout_s` passed first.

        Events left then count as dropped.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        with self._changed:
            left = [*self._batch, *self._queue]
            self._batch.clear()
            self._queue.clear()
        for event in left:
            self._sender.reject(event.name)
        return not thread.is_alive()

    def after_fork(self) -> None:
        """Starts with an empty queue and no thread; those of the parent stay with the parent."""
        self._begin()

    def _begin(self) -> None:
        self._queue: deque[UnencodedEvent] = deque()
        self._batch: deque[UnencodedEvent] = deque()
        """Events that the thread has taken from the queue and not encoded yet."""
        self._changed = threading.Condition()
        self._encoding = False
        self._thread: threading.Thread | None = None

    def _start_thread(self) -> bool:
        """Starts the thread if needed; returns whether one is running that accepts events."""
        if self._thread is None and not self._closed:
            thread = threading.Thread(target=self._run, name="trimtab-encoding", daemon=True)
            try:
                thread.start()
            except RuntimeError as refused:  # no more threads; must not raise to the caller
                log_safely(log.error, "events cannot be encoded", fault=str(refused))
                return False
            self._thread = thread
            close_queue_at_exit(self)
        return not self._closed

    def _run(self) -> None:
        self._guarded(self._before_batch)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed, IDLE_SECONDS)
                self._batch.extend(self._queue)
                self._queue.clear()
                self._encoding = bool(self._batch)
                done = self._closed and not self._batch
            self._guarded(self._before_batch)
            self._encode_batch()
            self._guarded(self._on_idle)
            if done:
                self._guarded(self._on_close)
            with self._changed:
                self._encoding = False
                self._changed.notify_all()
            if done:
                return

    def _encode_batch(self) -> None:
        while True:
            try:
                event = self._batch.popleft()
            except IndexError:  # it is empty, or `close` has dropped the rest of it
                return
            self._guarded(partial(self._hand_over, event))

    def _guarded(self, work: Callable[[], None] | None) -> None:
        try:
            if work is not None:
                work()
        except Exception as fault:  # whatever went wrong, later events must still be encoded
            log_safely(log.error, "work on the encoding thread failed", fault=repr(fault))

    def _hand_over(self, event: UnencodedEvent) -> None:
        try:
            value = self._codec.encode(event.name, event.record)
        except Exception as refused:  # reading a caller's object may raise anything
            self.refuse(event.name, refused)
            return
        self._sender.send(OutgoingEvent(event.topic, event.key, value, event.name))
