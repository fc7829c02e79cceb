"""Confirmations: the first of a chunk is measured, any of them is a sign of life."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from monitoring.metrics import JoinMetrics
from stream_processors.worker.write_watch import WriteWatch


def test_the_first_confirmation_of_a_chunk_is_measured_and_every_one_is_passed_on() -> None:
    registry, now, calls = CollectorRegistry(), [100.0], list[int]()
    watch = WriteWatch(JoinMetrics(registry).write_seconds, lambda: now[0])
    done = watch.timed(calls.append)
    for now[0], count in ((100.25, 1_000), (103.0, 7)):
        done(count)
    assert calls == [1_000, 7]
    assert registry.get_sample_value("trimtab_join_write_seconds_count") == 1
    assert registry.get_sample_value("trimtab_join_write_seconds_sum") == 0.25


def test_a_stall_is_the_time_since_anything_moved_while_something_waits() -> None:
    now = [0.0]
    watch = WriteWatch(JoinMetrics(CollectorRegistry()).write_seconds, lambda: now[0])
    done = watch.timed(list[int]().append)
    now[0] = 50.0
    assert watch.stalled_seconds(outstanding=0) == 0.0
    now[0] = 57.0
    assert watch.stalled_seconds(outstanding=3) == 7.0
    done(1)
    assert watch.stalled_seconds(outstanding=2) == 0.0
