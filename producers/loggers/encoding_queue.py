"""The thread that turns records into bytes, so that the request path never pays for Avro."""

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
    """A record on its way to `topic`; it belongs to the queue from here on and must not be changed."""

    topic: str
    key: bytes | None
    name: str
    record: Mapping[str, Any]


class EncodingQueue:
    """A bounded queue and the background thread that encodes its records and hands them to the sender.

    Order is kept. The thread starts with `start` or the first `submit`, so that constructing starts nothing. A full
    queue and a record that its schema refuses count as dropped; both leave the caller untouched. `on_idle` runs on the
    thread at least every `IDLE_SECONDS` and once more when the queue closes, and then `on_close`. A forked child begins
    with an empty queue: what the parent has queued, the parent sends.
    """

    def __init__(
        self,
        codec: Codec,
        sender: EventSender,
        max_queued: int = 20_000,
        on_idle: Callable[[], None] | None = None,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._codec = codec
        self._sender = sender
        self._max_queued = max_queued
        self._on_idle = on_idle
        self._on_close = on_close
        self._closed = False
        self._begin()
        renew_in_children(self)
        close_queue_at_exit(self)

    def submit(self, *events: UnencodedEvent) -> bool:
        """Queues the events together, or drops and counts all of them when the queue is full or closed.

        Returns whether they were queued. Never waits for anything but the queue's own lock.
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

    def start(self) -> None:
        """Starts the thread unless it runs, so that `on_idle` is called even before anything is submitted."""
        if self._thread is None:
            with self._changed:
                self._start_thread()

    def drain(self, timeout_s: float) -> bool:
        """Waits until all that is queued went to the sender; False when `timeout_s` passed first."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queue and not self._encoding, timeout_s)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Takes no more, hands over what is queued, ends the thread; False when `timeout_s` passed first.

        What is left then counts as dropped.
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
        """The queue and its thread stay the parent's."""
        self._begin()

    def _begin(self) -> None:
        self._queue: deque[UnencodedEvent] = deque()
        self._batch: deque[UnencodedEvent] = deque()
        """Taken out of the queue by the thread, and not encoded yet."""
        self._changed = threading.Condition()
        self._encoding = False
        self._thread: threading.Thread | None = None

    def _start_thread(self) -> bool:
        """Whether there is a thread that takes what is queued."""
        if self._thread is None and not self._closed:
            thread = threading.Thread(target=self._run, name="trimtab-encoding", daemon=True)
            try:
                thread.start()
            except RuntimeError as refused:  # no more threads; the caller must not hear of it
                log_safely(log.error, "events cannot be encoded", fault=str(refused))
                return False
            self._thread = thread
            close_queue_at_exit(self)
        return not self._closed

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed, IDLE_SECONDS)
                self._batch.extend(self._queue)
                self._queue.clear()
                self._encoding = bool(self._batch)
                done = self._closed and not self._batch
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
            except IndexError:  # it is empty, or `close` has given up what was left of it
                return
            self._guarded(partial(self._hand_over, event))

    def _guarded(self, work: Callable[[], None] | None) -> None:
        try:
            if work is not None:
                work()
        except Exception as fault:  # whatever it is, the events that come after it must still be encoded
            log_safely(log.error, "work between events failed", fault=repr(fault))

    def _hand_over(self, event: UnencodedEvent) -> None:
        try:
            value = self._codec.encode(event.name, event.record)
        except Exception as refused:  # a caller's object may raise anything while it is read
            self._sender.reject(event.name)
            told = refused if isinstance(refused, TrimtabError) else None
            what, fix = (told.what, told.fix) if told else (repr(refused), "hand in a plain record")
            log_safely(log.error, "event dropped", record=event.name, what=what, fix=fix)
            return
        self._sender.send(OutgoingEvent(event.topic, event.key, value, event.name))
