"""The policy store of every released version: what it holds verifies, serves, and can be decided on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from event_schemas.slices import Slice
from policy_store.backends.redis_store import RedisStore
from policy_store.records.checkpoint_record import CheckpointManifest
from policy_store.records.signing import TrustedKeys
from producers.delivery.memory_log import MemoryLog
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from tests.components.free_port import free_port
from tests.upgrades.conftest import Restored
from tests.upgrades.frozen_set import FrozenSet
from tests.upgrades.frozen_traffic import DAY, FIRST, visits

SAID = ("--by", "ada", "--reason", "upgraded")


def test_everything_in_the_store_verifies_and_can_be_decided_on(
    frozen: FrozenSet, restored_store: str, tmp_path: Path
) -> None:
    at = Restored(frozen, "127.0.0.1:1", restored_store, tmp_path)
    first, second = frozen.facts["checkpoints"]
    at.trimtab("policy", "verify")
    status = json.loads(at.trimtab("policy", "status", "--json").stdout)
    stable = next(row for row in status["channels"] if row["channel"] == "stable")
    assert stable["state"] == "valid" and stable["version"] == first and status["killed"] is False

    at.trimtab("policy", "promote", second, "--to", "stable", "--override-gate", *SAID, key="board")
    at.trimtab("policy", "rollback", *SAID, key="board")
    shown = json.loads(at.trimtab("alpha", "show", "--json").stdout)
    assert shown["default"]["alpha"] == 0.3
    [waiting] = [each for each in shown["proposals"] if each["status"] == "open"]
    at.trimtab("alpha", "approve", waiting["proposal_id"], *SAID, key="board")
    for command, killed in (("kill", True), ("resume", False)):
        at.trimtab("policy", command, *SAID, key="board")
        assert json.loads(at.trimtab("policy", "status", "--json").stdout)["killed"] is killed
    at.trimtab("policy", "verify")


def test_an_old_manifest_keeps_its_bytes_when_it_is_written_again(frozen: FrozenSet) -> None:
    kept = sorted(frozen.folder.glob("machine/learner/*/checkpoints/*/manifest.json"))
    assert len(kept) == len(frozen.facts["checkpoints"])
    for file in kept:
        assert CheckpointManifest.parse(file.read_bytes()).canonical() == file.read_bytes()


def test_a_node_serves_what_the_old_store_points_to(frozen: FrozenSet, restored_store: str, tmp_path: Path) -> None:
    with _node(frozen, restored_store, tmp_path / "new-machine") as node:
        _assert_serving(node, frozen)


def test_a_node_serves_from_the_old_snapshot_while_redis_is_away(frozen: FrozenSet, tmp_path: Path) -> None:
    experiment = load_experiment(frozen.experiment_file)
    machine = frozen.restore_machine(tmp_path)
    folder = machine / "serving" / experiment.name / frozen.facts["node"]
    with _node(frozen, f"redis://127.0.0.1:{free_port()}/0", folder) as node:
        _assert_serving(node, frozen)


@contextmanager
def _node(frozen: FrozenSet, redis_url: str, folder: Path) -> Iterator[ServingNode]:
    experiment = load_experiment(frozen.experiment_file)
    trusted = TrustedKeys.parse(frozen.trusted_keys())
    config = ServingNodeConfig(experiment, trusted, "upgraded", frozen.prefix, folder)
    store = RedisStore(redis_url, experiment.name)
    node = build_node(config, NodeConnections(store, MemoryLog(), Codec(Registry.bundled())))
    node.start()
    try:
        yield node
    finally:
        node.close()
        store.close()


def _assert_serving(node: ServingNode, frozen: FrozenSet) -> None:
    """The policy that was stable decides, under the preference that was approved, and nothing is killed."""
    decisions = [node.decide(visit.request) for visit in visits(60, 9, FIRST + 40 * DAY)]
    served = [decision for decision in decisions if decision.slice is Slice.POLICY]
    assert served and {decision.policy_version for decision in served} == {frozen.facts["stable"]}
    assert all(decision.config_revision > 0 for decision in served)
    assert not any(decision.slice is Slice.FALLBACK for decision in decisions)
    assert any(decision.slice is Slice.EXPLORE for decision in decisions)
