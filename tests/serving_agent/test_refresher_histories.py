"""Whole nodes over stores that were emptied, restored or corrupted by a wrong clock, and repaired by a re-base."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import structlog

from event_schemas.directory_lock import DirectoryLock
from policy_store.decisions.governance import keep_fresh
from policy_store.decisions.rebasing import rebase
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.store_errors import RevisionAhead
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.recent_traffic import HEAD_VALUES
from serving_agent.pickup import snapshot_disk
from serving_agent.pickup.checkpoint_pickup import PickupResult
from serving_agent.pickup.refresher import SnapshotRefresher
from serving_agent.pickup.snapshot_disk import FILE_NAME, LOCK_NAME, SnapshotDisk
from tests.policy_store.control_samples import YEAR_MS
from tests.policy_store.foreign_hands import MemoryHands
from tests.serving_agent.pickup.test_refresher import eventually
from tests.serving_agent.refresher_bench import Bench
from tests.serving_samples import GOVERNANCE_KEY, NOW, embedded, preferring, serving_experiment, sketch_of

YEARS_AHEAD = NOW + 10 * YEAR_MS


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, serving_experiment(serving={"poll": "60s"}))
    yield made
    for refresher in made.opened:
        refresher.close()


def hands(bench: Bench) -> MemoryHands:
    return MemoryHands(bench.store)


def point_as_0_1_0(bench: Bench, channel: Channel, version: str, revision: int) -> None:
    """A record that version 0.1.0 published when its clock said `revision`."""
    bench.desk.publish(version, preferring(bench.experiment, repin=2))
    content = {"experiment": bench.experiment.name, "channel": channel.value, "version": version, "by": "ada"}
    times = {"revision": revision, "expires_at": revision + YEAR_MS}
    signed = ChannelRecord.from_content(content | times).signed_by(GOVERNANCE_KEY)
    hands(bench).publish_as_0_1_0(f"channel:{channel.value}", signed)


def notes(refresher: SnapshotRefresher, channel: str = "stable") -> str:
    return str(refresher.report().channels[channel]["notes"])


def test_a_kill_is_noticed_at_once_over_a_store_whose_notifications_began_anew(bench: Bench) -> None:
    """The last id a node saw is later than every id of the restored store for a long time."""
    for version in ("v1", "v2", "v3"):
        bench.publish(version)
    refresher = bench.refresher()
    refresher.poll()
    hands(bench).empty()
    refresher.start()
    began = time.monotonic()
    bench.desk.kill()
    eventually(lambda: refresher.holder.current.killed, seconds=30.0)
    assert time.monotonic() - began < 30.0, "long before the next poll"


def test_a_node_whose_clock_ran_ahead_is_led_back_by_a_rebase(bench: Bench) -> None:
    bench.publish("v1")
    sane, ahead = bench.refresher(), bench.refresher()
    point_as_0_1_0(bench, Channel.STABLE, "v2", YEARS_AHEAD)
    sane.poll()
    assert sane.report().channels["stable"]["result"] == PickupResult.FUTURE
    bench.now = YEARS_AHEAD
    ahead.poll()
    assert ahead.holder.current.versions() == {"stable": "v2"}
    bench.now = NOW
    with pytest.raises(RevisionAhead, match="hour ahead"):
        bench.publish("too-far")
    bench.desk.now += 1_000
    plan = rebase(bench.store, bench.desk.rule, bench.desk.decider())
    assert plan.decide_again == ("channel:stable",)
    for node in (sane, ahead):
        node.poll()
    assert ahead.holder.current.versions() == {"stable": "v2"}, "what serves goes on until something new is decided"
    assert "was seen before" in notes(ahead)
    bench.publish("v3")
    for node in (sane, ahead, bench.refresher()):
        node.poll()
        assert node.holder.current.versions() == {"stable": "v3"}
        assert node.report().epoch == 1
    keep_fresh(bench.store, Channel.STABLE, bench.desk.decider(), ttl_ms=YEAR_MS)


def test_what_a_node_reports_leads_to_a_rebase_though_the_store_knows_nothing(bench: Bench) -> None:
    point_as_0_1_0(bench, Channel.STABLE, "v1", YEARS_AHEAD)
    bench.now = YEARS_AHEAD
    refresher = bench.refresher()
    refresher.poll()
    hands(bench).empty()
    bench.now = NOW
    refresher.poll()
    with pytest.raises(RevisionAhead, match="node n1"):
        bench.publish("too-far")
    rebase(bench.store, bench.desk.rule, bench.desk.decider())
    bench.publish("v2")
    refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v2"}


@pytest.mark.parametrize("restarted", [False, True])
def test_a_canary_of_this_epoch_is_newer_than_a_stable_of_2036(bench: Bench, restarted: bool) -> None:
    point_as_0_1_0(bench, Channel.CANARY, "v0", YEARS_AHEAD - 5)
    point_as_0_1_0(bench, Channel.STABLE, "v1", YEARS_AHEAD)
    bench.now = YEARS_AHEAD
    refresher = bench.refresher()
    refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v1"}, "stable ended the canary before it"
    bench.now = NOW
    rebase(bench.store, bench.desk.rule, bench.desk.decider())
    refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v1"}, "and a re-base does not bring it back"
    bench.publish("v2", Channel.CANARY)
    refresher.poll()
    if restarted:
        bench.store.cut = True
        refresher = bench.refresher()
        refresher.start()
    assert refresher.holder.current.versions() == {"stable": "v1", "canary": "v2"}


def test_a_rebase_is_remembered_on_disk_and_a_restored_store_brings_nothing_back(bench: Bench) -> None:
    bench.publish("v1")
    point_as_0_1_0(bench, Channel.STABLE, "v2", YEARS_AHEAD)
    backup = hands(bench).backup()
    bench.now = YEARS_AHEAD
    bench.refresher().poll()
    bench.now = NOW
    rebase(bench.store, bench.desk.rule, bench.desk.decider())
    bench.publish("v3")
    bench.refresher().start()
    hands(bench).restore(backup)
    for now in (NOW, YEARS_AHEAD):
        bench.now = now
        again = bench.refresher()
        again.start()
        assert again.holder.current.versions() == {"stable": "v3"}
        assert "voided" in notes(again)
    bench.now = NOW
    assert rebase(bench.store, bench.desk.rule, bench.desk.decider()).epoch == 2, "above what the node reports"


def test_a_kill_outlives_store_and_node_together(bench: Bench) -> None:
    bench.publish("v1")
    signed = bench.desk.kill("incident 42")
    refresher = bench.refresher()
    refresher.poll()
    [node] = bench.store.nodes()
    assert node.status["killed"]
    assert node.status["open_kills"] == {signed.hash: signed.as_item()}
    saved = SnapshotDisk(bench.folder).load()
    assert saved is not None
    assert (saved.memory.kills, saved.control) == ((signed,), signed)
    hands(bench).empty()
    again = bench.refresher()
    again.start()
    assert again.holder.current.killed
    bench.desk.resume(signed.hash)
    again.poll()
    assert not again.holder.current.killed
    assert not again.report().open_kills


@pytest.mark.parametrize("hindrance", ["no room", "another process"])
def test_what_could_not_be_saved_is_saved_at_the_next_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, hindrance: str
) -> None:
    monkeypatch.setattr(snapshot_disk, "LOCK_SECONDS", 0.0)
    draft, lock = (bench.folder / FILE_NAME).with_suffix(".draft"), DirectoryLock(bench.folder / LOCK_NAME)
    if hindrance == "no room":
        draft.mkdir()
        lock.release()
    signed = bench.desk.kill()
    refresher = bench.refresher()
    refresher.poll()
    assert refresher.holder.current.killed
    assert refresher.report().disk != "ok"
    if hindrance == "no room":
        draft.rmdir()
    lock.release()
    refresher.poll()
    saved = SnapshotDisk(bench.folder).load()
    assert saved is not None
    assert saved.memory.kills == (signed,)
    assert refresher.report().disk == "ok"


def test_a_log_that_cannot_be_written_keeps_neither_kill_nor_rebase_from_disk(bench: Bench) -> None:
    """The first read of either writes a log line."""
    signed = bench.desk.kill()
    point_as_0_1_0(bench, Channel.STABLE, "v1", YEARS_AHEAD)
    rebase(bench.store, bench.desk.rule, bench.desk.decider())
    hands(bench).put("control", replace(signed, signature=bytes(64)))
    closed = (bench.folder / "log").open("w", encoding="utf-8")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(closed))
    closed.close()
    refresher = bench.refresher()
    refresher.poll()
    assert "closed file" in refresher.store_state
    assert refresher.holder.current.killed
    saved = SnapshotDisk(bench.folder).load()
    assert saved is not None
    assert (saved.memory.kills, saved.memory.epoch) == ((signed,), 1)


def test_a_record_that_nobody_can_accept_does_not_end_drift(bench: Bench) -> None:
    """Live heads that drifted put production's weights in place until they return, whatever lies in the store."""
    steady = {"ranker_heads": {"repin": sketch_of(np.full(500, 0.2))}}
    bench.publish("v1", reference=steady)
    refresher = bench.refresher()
    refresher.poll()
    bench.heads(0.9)
    bench.publish("v2", reference=steady)
    refresher.poll()
    assert refresher.holder.current.withheld is FallbackReason.DRIFT
    drifted = bench.store.channel("stable")
    assert drifted is not None
    hands(bench).put("channel:stable", replace(drifted, signature=bytes(64)))
    refresher.poll()
    assert refresher.report().channels["stable"]["result"] == PickupResult.UNVERIFIED
    assert refresher.holder.current.withheld is FallbackReason.DRIFT
    hands(bench).put("channel:stable", drifted)
    for _ in range(HEAD_VALUES // 200):
        bench.heads(0.2)
    for number in range(50):
        bench.recent.note_request(DecisionRequest(user_embedding=embedded(0.0)).as_record(f"r{number}", NOW))
    refresher.poll()
    assert refresher.holder.current.withheld is None
    assert refresher.holder.current.versions() == {"stable": "v2"}


def test_faults_of_kills_rebases_and_preference_are_reported_together(bench: Bench) -> None:
    signed = bench.desk.kill()
    bench.desk.resume()
    bench.desk.alpha(0.3)
    for slot in ("control", "rebase", "preference"):
        torn = replace(signed, record=signed.record.replace(b"test", slot.encode()))
        hands(bench).put(slot, torn)
    refresher = bench.refresher()
    refresher.poll()
    fault = refresher.report().preference_fault
    assert fault is not None
    assert fault.count("does not match") == 3
    assert not refresher.holder.current.killed
