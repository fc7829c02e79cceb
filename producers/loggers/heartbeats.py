"""Heartbeats: each asserts that no earlier event will arrive in its partition."""

from __future__ import annotations

from event_schemas import records as r
from event_schemas.codec import Codec
from producers.delivery.outgoing_event import EventSender, OutgoingEvent


def send_heartbeat(sender: EventSender, codec: Codec, topic: str, partition: int, event_time: int) -> None:
    """Hands in one Heartbeat (null key, explicit partition); `event_time` is in milliseconds since the epoch."""
    record: r.HeartbeatRecord = {"event_time": event_time}
    sender.send(OutgoingEvent(topic, None, codec.encode(r.HEARTBEAT, record), r.HEARTBEAT, partition))


def send_heartbeats(sender: EventSender, codec: Codec, topic: str, partitions: int, event_time: int) -> None:
    """Hands in one Heartbeat for every partition 0 … partitions-1, which closes all older windows."""
    for partition in range(partitions):
        send_heartbeat(sender, codec, topic, partition, event_time)
