"""The thread that turns records into bytes, so that the request path never pays for Avro."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from producers.careful_log import tell
from producers.outgoing_event import EventSender, OutgoingEvent

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

    Order is kept. The thread starts with `start` or the first `submit`, so that constructing (before a fork)
    starts nothing. A full queue and a record that its schema refuses count as dropped; both leave the caller
    untouched. `on_idle` runs on the thread at least every `IDLE_SECONDS` and once more when the queue closes.
    """

    def __init__(
        self,
        codec: Codec,
        sender: EventSender,
        max_queued: int = 20_000,
        on_idle: Callable[[], None] | None = None,
    ) -> None:
        self._codec = codec
        self._sender = sender
        self._max_queued = max_queued
        self._on_idle = on_idle
        self._queue: deque[UnencodedEvent] = deque()
        self._changed = threading.Condition()
        self._encoding = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, *events: UnencodedEvent) -> bool:
        """Queues the events together, or drops and counts all of them when the queue is full or closed.

        Returns whether they were queued. Never waits for anything but the queue's own lock.
        """
        with self._changed:
            accepted = not self._closed and len(self._queue) + len(events) <= self._max_queued
            if accepted:
                self._start_thread()
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
        """Takes no more, hands over what is queued, ends the thread; False when `timeout_s` passed first."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            return True
        thread.join(timeout_s)
        return not thread.is_alive()

    def _start_thread(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._run, name="trimtab-encoding", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed, IDLE_SECONDS)
                batch = list(self._queue)
                self._queue.clear()
                self._encoding = bool(batch)
                done = self._closed and not batch
            for event in batch:
                self._hand_over(event)
            self._idle()
            with self._changed:
                self._encoding = False
                self._changed.notify_all()
            if done:
                return

    def _idle(self) -> None:
        try:
            if self._on_idle is not None:
                self._on_idle()
        except Exception as fault:  # whatever it is, the events that come after it must still be encoded
            tell(log.error, "idle work failed", fault=repr(fault))

    def _hand_over(self, event: UnencodedEvent) -> None:
        try:
            value = self._codec.encode(event.name, event.record)
        except Exception as refused:  # a caller's object may raise anything while it is read
            self._sender.reject(event.name)
            told = refused if isinstance(refused, TrimtabError) else None
            what, mend = (told.what, told.mend) if told else (repr(refused), "hand in a plain record")
            tell(log.error, "event dropped", record=event.name, what=what, mend=mend)
            return
        self._sender.send(OutgoingEvent(event.topic, event.key, value, event.name))
