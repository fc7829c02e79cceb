"""The gauges of the partitions that a worker owns; gauges of partitions it no longer owns are removed."""

from __future__ import annotations

from collections.abc import Mapping

from monitoring.metrics import JoinMetrics
from stream_processors.worker.owned_partitions import OwnedPartition


def records_to_rebuild(state: OwnedPartition) -> int:
    """How many records must still be read to rebuild a partition's state; until then it writes no outputs."""
    return 0 if state.committed is None else max(0, state.committed.settled - state.reached)


class PartitionGauges:
    """Sets the gauges of each partition, labelled with its number."""

    def __init__(self, metrics: JoinMetrics) -> None:
        self._metrics = metrics
        self._shown: set[int] = set()

    def set(self, owned: Mapping[int, OwnedPartition], log_ends: Mapping[int, int | None]) -> None:
        """Set the gauges of `owned`; while the end of the log is unknown, the last offset read takes its place."""
        for partition, state in owned.items():
            self._show(str(partition), state, log_ends.get(partition) or state.reached)
        metrics = self._metrics
        for partition in self._shown - owned.keys():
            for gauge in (
                metrics.pending,
                metrics.watermark,
                metrics.processed_lag,
                metrics.committed_lag,
                metrics.rebuild_records,
            ):
                gauge.remove(str(partition))
        self._shown = set(owned)

    def _show(self, label: str, state: OwnedPartition, log_end: int) -> None:
        committed = state.reached if state.committed is None else state.committed.rebuild_from
        self._metrics.pending.labels(label).set(state.join.pending)
        self._metrics.watermark.labels(label).set((state.join.watermark or 0) / 1000)
        self._metrics.processed_lag.labels(label).set(max(0, log_end - state.reached))
        self._metrics.committed_lag.labels(label).set(max(0, log_end - committed))
        self._metrics.rebuild_records.labels(label).set(records_to_rebuild(state))
