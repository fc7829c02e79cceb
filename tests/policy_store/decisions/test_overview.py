"""The state of a store at a glance, tampered or not."""

from __future__ import annotations

from typing import Any

import pytest

from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.decisions.kill_decisions import kill
from policy_store.decisions.overview import store_overview
from policy_store.records.channel_record import Channel
from policy_store.records.store_errors import StoreUnreachable
from tests.components.free_port import free_port
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    NOW,
    PEOPLE,
    TTL_MS,
    StoreBench,
    learner,
    manifest,
    people,
    rule,
)

OURS = {"weights": "1", "gate": "2"}


def test_an_empty_store(bench: StoreBench) -> None:
    overview = store_overview(bench.store, rule(bench.experiment), NOW, OURS)
    assert overview == {
        "experiment": bench.experiment,
        "killed": False,
        "open_kills": [],
        "epoch": 0,
        "differing_files": [],
        "channels": [{"channel": name, "state": "empty", "refused_by": []} for name in ("stable", "canary", "shadow")],
        "experiments": {"state": "empty", "running": []},
        "checkpoints": 0,
        "learner": None,
        "nodes": [],
        "audit_entries": 0,
    }


def test_valid_forbidden_and_empty_channels_are_told_apart(bench: StoreBench) -> None:
    publish_checkpoint(bench.store, manifest(bench.experiment), BLOBS, LEARNER)
    point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    point_channel(bench.store, Channel.CANARY, "v1", learner(), ttl_ms=TTL_MS)
    bench.store.heartbeat("n1", {"version": "v1"}, ttl_s=60)
    stop = kill(bench.store, people()).signed_by(PEOPLE)
    now = bench.store.time_ms()
    bench.store.acquire_lease("a host, process 1", 60)
    overview = store_overview(bench.store, rule(bench.experiment), now, OURS)
    assert overview["learner"] == "a host, process 1"
    stable, canary, shadow = overview["channels"]
    assert (stable["state"], stable["version"], stable["by"]) == ("valid", "v1", "ada")
    assert abs(stable["expires_at"] - now - TTL_MS) < 60_000
    assert "may not sign" in canary["state"]
    assert "governance key" in canary["fix"]
    assert shadow["state"] == "empty"
    assert overview["nodes"] == [{"node": "n1", "status": {"version": "v1"}}]
    assert (overview["killed"], overview["checkpoints"], overview["audit_entries"]) == (True, 1, 4)
    [open_kill] = overview["open_kills"]
    assert (open_kill["hash"], open_kill["by"], open_kill["known_to"]) == (stop.hash, "ada", ["the store"])


def test_a_kill_switch_nobody_may_believe_is_unknown(bench: StoreBench) -> None:
    kill(bench.store, learner())
    assert store_overview(bench.store, rule(bench.experiment), NOW, OURS)["killed"] is None


def test_nodes_that_refuse_a_record_are_named_even_if_it_is_valid_here(bench: StoreBench) -> None:
    publish_checkpoint(bench.store, manifest(bench.experiment), BLOBS, LEARNER)
    record = point_channel(bench.store, Channel.STABLE, "v1", people(), ttl_ms=TTL_MS)
    refusing: dict[str, Any] = {"result": "unverified", "notes": ["the learner may not sign it"]}
    judged = {"version": "v1", "revision": record.revision}
    for node_id, state in (
        ("n1", refusing | {"judged": judged}),
        ("n2", refusing | {"judged": judged | {"revision": record.revision - 1}}),
        ("n3", {"result": "accepted", "notes": [], "judged": judged}),
        ("n4", refusing),
    ):
        bench.store.heartbeat(node_id, {"channels": {"stable": state}}, ttl_s=60)
    stable, canary, _ = store_overview(bench.store, rule(bench.experiment), bench.store.time_ms(), OURS)["channels"]
    assert stable["state"] == "valid"
    assert stable["refused_by"] == [
        {"node": name, "result": "unverified", "notes": ["the learner may not sign it"]} for name in ("n1", "n4")
    ], "n2 refused an earlier record; n4 does not say which"
    assert canary["refused_by"] == []


def test_processes_with_another_file_are_listed(bench: StoreBench) -> None:
    made = manifest(bench.experiment, section_digests=OURS | {"gate": "3"})
    publish_checkpoint(bench.store, made, BLOBS, LEARNER)
    bench.store.heartbeat("n1", {"section_digests": OURS}, ttl_s=60)
    bench.store.heartbeat("n2", {"section_digests": {"gate": "2"}}, ttl_s=60)
    overview = store_overview(bench.store, rule(bench.experiment), NOW, OURS)
    assert overview["differing_files"] == [
        {"process": "learner", "name": "v1", "sections": ["gate"]},
        {"process": "node", "name": "n2", "sections": ["weights"]},
    ]


def test_a_store_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(StoreUnreachable):
        store_overview(RedisStore(f"redis://127.0.0.1:{free_port()}/0", "homefeed"), rule("homefeed"), NOW, OURS)
