"""Logs engagements."""

from __future__ import annotations

from collections.abc import Callable, Collection

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.instant import wall_clock_ms
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.exit_hook import QUEUE_SECONDS
from producers.delivery.outgoing_event import EventSender
from producers.loggers.encoding_queue import EncodingQueue, UnencodedEvent
from producers.loggers.engagement_record import EngagementRule, sound_engagement


class EngagementLogger:
    """Logs engagements without delaying the caller; a background thread encodes them.

    `kinds` are those that the experiment declares: a kind that differs from one of them only in case or spaces is
    refused. `clock` gives epoch milliseconds: a time that would be near it in another unit is refused, and one that is
    more than `max_ahead_ms` ahead of it, which the join would refuse.
    """

    def __init__(
        self,
        codec: Codec,
        sender: EventSender,
        topic: str,
        *,
        kinds: Collection[str] = (),
        clock: Callable[[], int] = wall_clock_ms,
        max_ahead_ms: int | None = None,
        max_queued: int = 20_000,
    ) -> None:
        self._sender = sender
        self._topic = topic
        self._kinds = frozenset(kinds)
        self._clock = clock
        self._max_ahead_ms = max_ahead_ms
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

        `event_time` is in milliseconds since the epoch, `value` is 0 to 1e12. Two calls with the same content and no
        `engagement_id` are one engagement; give your own ids if engagements with equal content can be distinct.
        An engagement with an unusable field counts as dropped, and the log says why; its id is empty then if you gave
        none. `log_sound` raises instead.
        """
        try:
            return self.log_sound(
                request_id, kind, event_time=event_time, item_id=item_id, value=value, engagement_id=engagement_id
            )
        except Exception as fault:  # what a caller hands in may raise anything when it is looked at
            self._queue.refuse(r.ENGAGEMENT, fault)
            return engagement_id if isinstance(engagement_id, str) else ""

    def log_sound(
        self,
        request_id: str,
        kind: str,
        *,
        event_time: int,
        item_id: str | None = None,
        value: float = 1.0,
        engagement_id: str | None = None,
    ) -> str:
        """Does what `log` does, but raises InvalidEngagement for an unusable field, and then counts nothing."""
        given: r.EngagementRecord = {
            "engagement_id": "" if engagement_id is None else engagement_id,
            "request_id": request_id,
            "event_time": event_time,
            "kind": kind,
            "item_id": item_id,
            "value": value,
        }
        rule = EngagementRule(self._kinds, self._clock(), self._max_ahead_ms)
        record = sound_engagement(given, rule, has_id=engagement_id is not None)
        self._queue.submit(UnencodedEvent(self._topic, record["request_id"].encode(), r.ENGAGEMENT, record))
        return record["engagement_id"]

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
