"""The state of a store at a glance, tampered or not."""

from __future__ import annotations

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


def test_an_empty_store(bench: StoreBench) -> None:
    overview = store_overview(bench.store, rule(bench.experiment), NOW)
    assert overview == {
        "experiment": bench.experiment,
        "killed": False,
        "open_kills": [],
        "epoch": 0,
        "channels": [{"channel": name, "state": "empty"} for name in ("stable", "canary", "shadow")],
        "checkpoints": 0,
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
    overview = store_overview(bench.store, rule(bench.experiment), now)
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
    assert store_overview(bench.store, rule(bench.experiment), NOW)["killed"] is None


def test_a_store_that_does_not_answer_is_an_error() -> None:
    with pytest.raises(StoreUnreachable):
        store_overview(RedisStore(f"redis://127.0.0.1:{free_port()}/0", "homefeed"), rule("homefeed"), NOW)
