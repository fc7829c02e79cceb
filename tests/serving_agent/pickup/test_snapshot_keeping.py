"""What a node keeps on its disk, and how it comes back from there."""

from __future__ import annotations

from pathlib import Path

from policy_store.records.channel_record import Channel
from policy_store.records.revision_rules import ReaderMemory
from serving_agent.decide.recent_traffic import RecentTraffic
from serving_agent.pickup.arm_pickup import ArmPickup
from serving_agent.pickup.channel_watch import ChannelWatch
from serving_agent.pickup.checkpoint_pickup import CheckpointPickup
from serving_agent.pickup.drift_check import DriftCheck
from serving_agent.pickup.experiment_watch import ExperimentWatch
from serving_agent.pickup.kill_watch import KillWatch
from serving_agent.pickup.preference_watch import PreferenceWatch
from serving_agent.pickup.snapshot_disk import FILE_NAME, SnapshotDisk
from serving_agent.pickup.snapshot_keeping import SnapshotKeeper, Watches
from tests.serving_samples import NOW, StoreDesk, preferring, serving_experiment

EXPERIMENT = serving_experiment()


def watches(desk: StoreDesk) -> Watches:
    memory, recent = ReaderMemory(), RecentTraffic()
    pickup = CheckpointPickup(EXPERIMENT, DriftCheck(EXPERIMENT, recent))
    return Watches(
        memory,
        KillWatch(desk.rule),
        PreferenceWatch(EXPERIMENT, desk.rule, memory),
        {each: ChannelWatch(each, desk.rule, pickup, recent, 50, memory) for each in Channel},
        ExperimentWatch(EXPERIMENT, desk.rule, ArmPickup(desk.rule, pickup, recent, 50), memory),
    )


def test_what_was_accepted_comes_back_and_only_news_is_saved(tmp_path: Path) -> None:
    desk = StoreDesk(EXPERIMENT)
    desk.publish("v1", preferring(EXPERIMENT, repin=3))
    desk.point(Channel.STABLE, "v1")
    desk.alpha(0.4)
    desk.kill()
    held = watches(desk)
    held.kills.poll(desk.store)
    held.preference.poll(desk.store, NOW)
    held.channels[Channel.STABLE].poll(desk.store, NOW)
    keeper = SnapshotKeeper(SnapshotDisk(tmp_path), held)
    keeper.save_news()
    assert not (tmp_path / FILE_NAME).exists()
    keeper.unsaved = True
    keeper.save_news()
    assert not keeper.unsaved
    back = watches(desk)
    assert SnapshotKeeper(SnapshotDisk(tmp_path), back).restore()
    assert back.kills.killed
    assert back.preference.preference == held.preference.preference
    policy = back.channels[Channel.STABLE].state.policy
    assert policy is not None
    assert policy.version == "v1"
    assert back.memory.highest == held.memory.highest


def test_a_disk_that_cannot_be_written_is_reported_and_tried_again(tmp_path: Path) -> None:
    keeper = SnapshotKeeper(SnapshotDisk(tmp_path / "file"), watches(StoreDesk(EXPERIMENT)))
    (tmp_path / "file").write_text("not a folder")
    keeper.unsaved = True
    keeper.save_news()
    assert keeper.unsaved
    assert keeper.state != "ok"
    (tmp_path / "file").unlink()
    keeper.save_news()
    assert (keeper.state, keeper.unsaved) == ("ok", False)


def test_damage_is_named_and_the_rest_is_used(tmp_path: Path) -> None:
    desk = StoreDesk(EXPERIMENT)
    desk.alpha(0.4)
    held = watches(desk)
    held.preference.poll(desk.store, NOW)
    keeper = SnapshotKeeper(SnapshotDisk(tmp_path), held)
    keeper.unsaved = True
    keeper.save_news()
    text = (tmp_path / FILE_NAME).read_text()
    (tmp_path / FILE_NAME).write_text(text.replace('"experiments": null', '"experiments": 7'))
    back = watches(desk)
    again = SnapshotKeeper(SnapshotDisk(tmp_path), back)
    assert again.restore()
    assert "experiments" in again.state
    assert again.unsaved, "a whole file replaces the damaged one"
    assert back.preference.preference == held.preference.preference


def test_without_a_disk_nothing_is_kept() -> None:
    keeper = SnapshotKeeper(None, watches(StoreDesk(EXPERIMENT)))
    keeper.unsaved = True
    keeper.save_news()
    assert not keeper.restore()
    assert keeper.state == "ok"
