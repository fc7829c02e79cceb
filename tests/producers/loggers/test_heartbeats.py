"""A heartbeat goes to the partition it speaks for."""

from __future__ import annotations

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.delivery.memory_log import MemoryLog
from producers.loggers.heartbeats import send_heartbeats


def test_every_partition_gets_one_with_a_null_key() -> None:
    log, codec = MemoryLog(partitions=3), Codec(Registry.bundled())
    send_heartbeats(log, codec, "events", 3, 1_234)
    assert [(r.partition, r.offset, r.key) for r in log.records("events")] == [(0, 0, None), (1, 0, None), (2, 0, None)]
    for record in log.records("events"):
        decoded = codec.decode(record.value)
        assert (decoded.name, decoded.record) == ("Heartbeat", {"event_time": 1_234})
