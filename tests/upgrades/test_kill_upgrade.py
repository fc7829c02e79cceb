"""The kills and resumes of every released version: none that was lifted comes back, and a new one stops every node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from event_schemas.experiment import load_experiment
from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.kill_decisions import kill
from policy_store.decisions.record_places import Decider
from policy_store.decisions.verification import TrustRule
from policy_store.records.control_record import ControlRecord
from policy_store.records.signing import SigningKey, TrustedKeys
from serving_agent.pickup.kill_watch import KillWatch
from serving_agent.pickup.snapshot_disk import SnapshotDisk
from tests.policy_store.foreign_hands import RedisHands
from tests.upgrades.frozen_set import FrozenSet


@pytest.mark.parametrize("machine", ["new", "old"])
def test_a_lifted_kill_that_is_replayed_stops_nobody_and_a_new_one_everybody(
    frozen: FrozenSet, restored_store: str, tmp_path: Path, machine: str
) -> None:
    experiment = load_experiment(frozen.experiment_file)
    rule = TrustRule(TrustedKeys.parse(frozen.trusted_keys()), experiment.name, experiment.action_space.digest)
    store = RedisStore(restored_store, experiment.name)
    hands = RedisHands(store, restored_store)
    watch = KillWatch(rule)
    if machine == "old":
        folder = frozen.restore_machine(tmp_path) / "serving" / experiment.name / frozen.facts["node"]
        saved = SnapshotDisk(folder).load()
        assert saved is not None
        watch.restore(saved)
    records = [ControlRecord.parse(signed.record) for signed in store.history("control")]
    kills = [signed for signed, record in zip(store.history("control"), records, strict=True) if record.killed]
    assert kills, "the frozen set has a kill in its history"
    for signed in kills:
        hands.put("control", signed)
        watch.poll(store)
        assert not watch.killed
        assert watch.fault is None
    hands.empty()
    for signed in kills:
        hands.put("control", signed)
        watch.poll(store)
        assert not watch.killed, "it remembers what the store has lost"
    key = SigningKey.parse(frozen.key("board"))
    for signed in kills:
        hands.raw.hset(hands.keys.kills, signed.hash, json.dumps(signed.as_item()))
    watch.poll(store)
    assert not watch.killed, "nor does one that is replayed among the kills of today"
    made = kill(store, Decider(by="ada", reason="upgraded", now_ms=store.time_ms(), key=key))
    watch.poll(store)
    assert watch.killed
    over = {"killed": False, "revision": made.revision + 1, "parent_revision": made.revision}
    resume = ControlRecord.from_content({"experiment": experiment.name, "by": "ada", **over})
    hands.publish_as_0_1_0("control", resume.signed_by(key))
    watch.poll(store)
    assert watch.killed, "a resume of version 0.1.0 names none"
    hands.close()
    store.close()
