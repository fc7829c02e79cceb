"""Gauges of owned partitions: set from their state, withdrawn when they go."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from monitoring.metrics import JoinMetrics
from stream_processors.partition.commit_position import CommitPosition
from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.worker.owned_partitions import OwnedPartition
from stream_processors.worker.partition_gauges import PartitionGauges, records_to_rebuild
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.join_runs import process


def owned(reached: int, committed: CommitPosition | None) -> OwnedPartition:
    log = EventLog()
    log.request("a", 5_000)
    join = PartitionJoin(small_rule(), CODEC, 0)
    process(join, log.records)
    return OwnedPartition(join, 1, reached, committed, committed)


def test_every_gauge_is_set_and_withdrawn_with_its_partition() -> None:
    registry = CollectorRegistry()
    gauges = PartitionGauges(JoinMetrics(registry))
    commit = CommitPosition(40, 35, 30, None, 0, WINDOW_MS)
    gauges.set({0: owned(36, commit), 1: owned(7, None)}, {0: 100, 1: None})

    def value(name: str, partition: int) -> float | None:
        return registry.get_sample_value(f"trimtab_join_{name}", {"partition": str(partition)})

    assert [value(name, 0) for name in ("pending_requests", "watermark_timestamp_seconds")] == [1, 5]
    assert [value(name, 0) for name in ("processed_lag", "committed_lag", "rebuild_records")] == [64, 70, 4]
    assert [value(name, 1) for name in ("processed_lag", "committed_lag", "rebuild_records")] == [0, 0, 0]
    gauges.set({1: owned(7, None)}, {1: 7})
    assert all(
        sample.labels["partition"] == "1"
        for metric in registry.collect()
        for sample in metric.samples
        if "partition" in sample.labels
    )


def test_a_rebuild_ends_where_the_commit_had_settled() -> None:
    commit = CommitPosition(40, 35, 30, None, 0, WINDOW_MS)
    assert [records_to_rebuild(owned(reached, commit)) for reached in (30, 39, 40, 50)] == [10, 1, 0, 0]
    assert records_to_rebuild(owned(3, None)) == 0
