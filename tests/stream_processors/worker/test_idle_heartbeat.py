"""When a partition has been idle long enough for a heartbeat."""

from __future__ import annotations

from stream_processors.worker.idle_heartbeat import IdleHeartbeat

DELAY = 60_000


def test_due_after_five_seconds_at_the_end_and_again_five_seconds_later() -> None:
    idle = IdleHeartbeat(DELAY)
    assert idle.due(0, 10, 10, now=100_000) is None
    assert idle.due(0, 10, 10, now=104_999) is None
    assert idle.due(0, 10, 10, now=105_000) == 105_000 - DELAY
    assert idle.due(0, 10, 10, now=105_100) is None
    assert idle.due(0, 11, 11, now=105_200) is None, "the heartbeat was read: a new end"
    assert idle.due(0, 11, 11, now=110_200) == 110_200 - DELAY


def test_not_due_while_records_come_or_wait() -> None:
    idle = IdleHeartbeat(DELAY)
    for second in range(20):
        assert idle.due(0, second, second, now=second * 1_000) is None
    assert idle.due(0, 19, 25, now=60_000) is None, "six records wait"
    assert idle.due(0, 25, 25, now=61_000) is None, "only now at the end"
    assert idle.due(0, 25, 25, now=66_000) == 66_000 - DELAY


def test_partitions_are_told_apart_and_forgotten() -> None:
    idle = IdleHeartbeat(DELAY, idle_ms=1_000)
    assert idle.due(0, 5, 5, now=0) is None
    assert idle.due(1, 5, 5, now=900) is None
    assert idle.due(0, 5, 5, now=1_000) == 1_000 - DELAY
    assert idle.due(1, 5, 5, now=1_000) is None
    idle.keep([1])
    assert idle.due(0, 5, 5, now=5_000) is None, "taken over anew"
    assert idle.due(1, 5, 5, now=5_000) == 5_000 - DELAY
