"""Logs engagements."""

from __future__ import annotations

import uuid

from event_schemas import records as r
from event_schemas.codec import Codec
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.exit_hook import QUEUE_SECONDS
from producers.delivery.outgoing_event import EventSender
from producers.loggers.encoding_queue import EncodingQueue, UnencodedEvent

ID_SPACE = uuid.UUID("6c0e9e0c-6a0a-5c3f-9d0e-2f1a5b7c4d11")


def engagement_id_of(request_id: str, kind: str, event_time: int, item_id: str | None, value: float) -> str:
    """The id of an engagement that has none of its own: a UUID of its content, so that a retry is a duplicate."""
    parts = (request_id, kind, str(event_time), "" if item_id is None else f"={item_id}", repr(float(value)))
    return str(uuid.uuid5(ID_SPACE, "\x00".join(parts)))


class EngagementLogger:
    """Logs engagements without delaying the caller or raising to it; a background thread encodes them."""

    def __init__(self, codec: Codec, sender: EventSender, topic: str, *, max_queued: int = 20_000) -> None:
        self._sender = sender
        self._topic = topic
        self._queue = EncodingQueue(codec, sender, max_queued)

    def log(
        self,
        request_id: str,
        kind: str,
        *,
        event_time: int,
        item_id: str | None = None,
        value: float = 1.0,
        engagement_id: str | None = None,
    ) -> str:
        """Queues one engagement with the decision `request_id` and returns its engagement id.

        `event_time` is in milliseconds since the epoch. Two calls with the same content and no
        `engagement_id` are one engagement; give your own ids if engagements with equal content can be distinct.
        """
        if engagement_id is None:
            engagement_id = engagement_id_of(request_id, kind, event_time, item_id, value)
        record: r.EngagementRecord = {
            "engagement_id": engagement_id,
            "request_id": request_id,
            "event_time": event_time,
            "kind": kind,
            "item_id": item_id,
            "value": value,
        }
        self._queue.submit(UnencodedEvent(self._topic, request_id.encode(), r.ENGAGEMENT, record))
        return engagement_id

    def flush(self, timeout_s: float = 5.0) -> DeliveryCounts:
        """Waits at most `timeout_s` each for queue and sender; `in_flight == 0` means every event has its fate."""
        self._queue.drain(timeout_s)
        return self._sender.flush(timeout_s)

    def close(self, timeout_s: float = 5.0) -> DeliveryCounts:
        """Hands over queued events and flushes the sender, which stays open, for `timeout_s`.

        Encoding gets at least 5 s even if `timeout_s` is shorter; events still queued then count as dropped.
        """
        self._queue.close(max(timeout_s, QUEUE_SECONDS))
        return self._sender.flush(timeout_s)
