"""A node's refresher at a store whose connection a test can cut."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from event_schemas.experiment import Experiment
from monitoring.metrics import ServingMetrics
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.verification import TrustRule
from policy_store.records.channel_record import Channel
from policy_store.records.control_record import ControlRecords
from policy_store.records.store_errors import StoreRefused, StoreUnreachable
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.refresher import RefresherOptions, SnapshotRefresher
from serving_agent.pickup.snapshot_disk import SnapshotDisk
from tests.serving_samples import NOW, TRUSTED, StoreDesk, preferring


class FlakyStore(MemoryStore):
    """A store whose connection a test can cut, or whose writes it can forbid."""

    cut = False
    read_only = False

    def preference(self) -> Any:
        self._answer()
        return super().preference()

    def control_records(self) -> ControlRecords:
        self._answer()
        return super().control_records()

    def updates_since(self, last_id: str, block_ms: int = 0) -> Any:
        self._answer()
        return super().updates_since(last_id, block_ms)

    def append_audit(self, actor: str, action: str, detail: Mapping[str, Any]) -> None:
        self._permit()
        super().append_audit(actor, action, detail)

    def heartbeat(self, node_id: str, status: Mapping[str, Any], ttl_s: float) -> Mapping[str, Any]:
        self._permit()
        return super().heartbeat(node_id, status, ttl_s)

    def _answer(self) -> None:
        if self.cut:
            raise StoreUnreachable("Redis does not answer", fix="start Redis")

    def _permit(self) -> None:
        if self.read_only:
            raise StoreRefused("NOPERM", fix="check the ACL")


class Bench:
    def __init__(self, folder: Path, experiment: Experiment) -> None:
        self.experiment = experiment
        self.store = FlakyStore(experiment.name)
        self.desk = StoreDesk(experiment, self.store)
        self.recent = RecentTraffic()
        self.registry = CollectorRegistry()
        self.folder = folder
        self.now = NOW
        self.opened: list[SnapshotRefresher] = []

    def refresher(self, registry: CollectorRegistry | None = None, **more: Any) -> SnapshotRefresher:
        pickup = CheckpointPickup(self.experiment, DriftCheck(self.experiment, self.recent))
        rule = TrustRule(TRUSTED, self.experiment.name, self.experiment.action_space.digest)
        options = RefresherOptions(
            node_id="n1",
            disk=SnapshotDisk(self.folder),
            metrics=ServingMetrics(registry or CollectorRegistry()),
            clock=lambda: self.now,
            decisions=lambda: {"EXPLORE": 3},
            **more,
        )
        made = SnapshotRefresher(self.experiment, self.store, rule, pickup, self.recent, options)
        self.opened.append(made)
        return made

    def publish(self, version: str, channel: Channel = Channel.STABLE, arm: int = 2, **manifest: Any) -> None:
        self.desk.now += 1
        self.desk.publish(version, preferring(self.experiment, repin=arm), **manifest)
        self.desk.point(channel, version)

    def heads(self, mean: float) -> None:
        for _ in range(200):
            self.recent.note_heads([{"head": "repin", "count": 9, "mean": mean, "p10": 0, "p50": 0, "p90": 1}])
