"""A forked child reads the store itself before any policy serves, and reports under its own name."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.verification import TrustRule
from policy_store.records.channel_record import Channel
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.refresher import RefresherOptions, SnapshotRefresher
from serving_agent.pickup.snapshot_disk import SnapshotDisk
from tests.components.forking import in_child, outcome_of
from tests.serving_samples import NOW, TRUSTED, StoreDesk, preferring, serving_experiment

EXPERIMENT = serving_experiment(serving={"poll": "50ms", "heartbeat": "100ms", "budget_ms": 50})


class SlowStore(MemoryStore):
    """A store that does not answer while a file exists."""

    gate = Path("none")

    def preference(self) -> Any:
        while self.gate.exists():
            time.sleep(0.01)
        return super().preference()


def follow_in_both(folder: str) -> dict[str, Any]:
    store = SlowStore(EXPERIMENT.name)
    desk = StoreDesk(EXPERIMENT, store)
    desk.publish("v1", preferring(EXPERIMENT, repin=2))
    for channel in (Channel.STABLE, Channel.SHADOW):
        desk.point(channel, "v1")
    recent = RecentTraffic()
    refresher = SnapshotRefresher(
        EXPERIMENT,
        store,
        TrustRule(TRUSTED, EXPERIMENT.name, EXPERIMENT.action_space.digest),
        CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, recent)),
        recent,
        RefresherOptions(node_id="n1", disk=SnapshotDisk(Path(folder)), clock=lambda: NOW),
    )
    refresher.start()

    def child() -> dict[str, Any]:
        store.gate = Path(folder, "gate")
        store.gate.touch()
        first = refresher.current
        seen: dict[str, Any] = {"first": [first.withheld, first.versions()]}
        # What people decided meanwhile comes first.
        desk.now += 1
        desk.kill()
        store.gate.unlink()
        seen["killed"] = _eventually(lambda: refresher.current.killed and refresher.current.withheld is None)
        seen["versions"] = refresher.current.versions()
        seen["beats"] = _eventually(lambda: f"n1.{os.getpid()}" in {node.node_id for node in store.nodes()})
        refresher.close()
        return seen

    told: dict[str, Any] = in_child(child)
    refresher.close()
    unused = in_child(lambda: refresher.current.withheld)
    return {**told, "parent": [refresher.current.withheld, refresher.current.killed], "after close": unused}


def _eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_child_serves_no_policy_before_it_has_looked(tmp_path: Path) -> None:
    assert outcome_of(follow_in_both, tmp_path) == {
        "first": ["forked", {"stable": "v1"}],
        "killed": True,
        "versions": {"stable": "v1", "shadow": "v1"},
        "beats": True,
        "parent": [None, False],
        "after close": None,
    }


def decide_soon(folder: str) -> list[str | None]:
    """A store that answers at once, and a budget in which it has time to."""
    experiment = serving_experiment(serving={"budget_ms": 30_000})
    desk = StoreDesk(experiment)
    desk.publish("v1", preferring(experiment, repin=2))
    desk.point(Channel.STABLE, "v1")
    recent = RecentTraffic()
    refresher = SnapshotRefresher(
        experiment,
        desk.store,
        TrustRule(TRUSTED, experiment.name, experiment.action_space.digest),
        CheckpointPickup(experiment, DriftCheck(experiment, recent)),
        recent,
        RefresherOptions(disk=SnapshotDisk(Path(folder)), clock=lambda: NOW),
    )
    refresher.start()
    told: list[str | None] = in_child(lambda: [refresher.current.withheld for _ in range(3)])
    refresher.close()
    return told


def test_the_first_look_waits_for_the_store_as_long_as_a_decision_may(tmp_path: Path) -> None:
    assert outcome_of(decide_soon, tmp_path) == [None, None, None]
