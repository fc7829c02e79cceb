"""The files of the last good snapshot: exact, replaced in one step; damage is reported and no kill is lost."""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.directory_lock import DirectoryLock, DirectoryTaken
from policy_store.records.checkpoint_record import SignedCheckpoint
from policy_store.records.governed_record import SignedRecord
from serving_agent.pickup import snapshot_disk
from serving_agent.pickup.memory_disk import FILE_NAMES
from serving_agent.pickup.node_memory import NodeMemory
from serving_agent.pickup.snapshot_disk import (
    FILE_NAME,
    LOCK_NAME,
    SavedChannel,
    SavedExperiments,
    SavedSnapshot,
    SnapshotDisk,
)
from tests.components.forking import in_child, outcome_of

FILES = (FILE_NAME, *FILE_NAMES)
CHANNEL = SavedChannel(
    SignedRecord(b'{"a":1}', b"\x00\xff", "governance/x"),
    SignedCheckpoint(b"{}", b"\x01", "learner/y", {"policy.onnx": bytes(range(256))}),
)
MEMORY = NodeMemory(
    revisions={"channel:stable": 5, "control": 7},
    kills=(SignedRecord(b"k", b"\x03", "governance/x"), SignedRecord(b"l", b"\x04", "governance/x")),
    resumes={SignedRecord(b"r", b"\x05", "governance/x"): ("ab" * 32, "cd" * 32), SignedRecord(b"s", b"", "y/z"): ()},
    epoch=3,
    voided=frozenset({"ef" * 32}),
)
SNAPSHOT = SavedSnapshot(
    channels={"stable": CHANNEL, "canary": CHANNEL},
    preference=SignedRecord(b"{}", b"\x02", "governance/x"),
    experiments=SavedExperiments(CHANNEL.record, {"v1": CHANNEL.checkpoint}),
    accepted_in={"channel:stable": 2},
    memory=MEMORY,
)


def test_reads_back_what_was_saved(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path / "node")
    assert disk.load() is None
    disk.save(SNAPSHOT)
    assert SnapshotDisk(tmp_path / "node").load() == SNAPSHOT


def test_a_save_that_fails_leaves_the_old_one_but_no_kill_out(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path)
    disk.save(SNAPSHOT)
    (tmp_path / FILE_NAME).with_suffix(".draft").mkdir()
    kill = SignedRecord(b"new", b"", "governance/x")
    with pytest.raises(OSError):
        disk.save(SavedSnapshot(memory=NodeMemory(kills=(kill,))))
    assert disk.load() == replace(SNAPSHOT, memory=replace(MEMORY, kills=(*MEMORY.kills, kill)))
    (tmp_path / FILE_NAME).with_suffix(".draft").rmdir()
    disk.save(SNAPSHOT)


def test_one_who_has_not_seen_a_kill_takes_it_from_nobody(tmp_path: Path) -> None:
    one, other = SnapshotDisk(tmp_path), SnapshotDisk(tmp_path)
    one.save(SNAPSHOT)
    other.save(SavedSnapshot())
    loaded = one.load()
    assert loaded is not None
    assert loaded.memory == MEMORY


def save_in_both(folder: str, times: str) -> list[str]:
    """A child is forked while its parent saves; both then save repeatedly what only they know."""
    disk = SnapshotDisk(Path(folder))

    def save_all(who: str) -> bool:
        for number in range(int(times)):
            kill = SignedRecord(f"{who} {number}".encode(), b"", "governance/x")
            while True:
                with contextlib.suppress(DirectoryTaken):
                    disk.save(SavedSnapshot(memory=NodeMemory(kills=(kill,))))
                    break
        return True

    with ThreadPoolExecutor(1) as pool:
        parent = pool.submit(save_all, "parent")
        assert in_child(lambda: save_all("child"))
        assert parent.result()
    loaded = disk.load()
    assert loaded is not None
    assert loaded.faults == ()
    return sorted(each.record.decode() for each in loaded.memory.kills)


def test_parent_and_child_save_at_once_and_no_kill_is_lost(tmp_path: Path) -> None:
    saved = outcome_of(save_in_both, tmp_path, 30)
    assert saved == sorted(f"{who} {number}" for who in ("parent", "child") for number in range(30))


def test_a_save_does_not_wait_for_ever_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_disk, "LOCK_SECONDS", 0.0)
    disk, lock = SnapshotDisk(tmp_path), DirectoryLock(tmp_path / LOCK_NAME)
    with pytest.raises(DirectoryTaken):
        disk.save(SNAPSHOT)
    lock.release()
    disk.save(SNAPSHOT)


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damage_to_one_file_is_reported_and_reaches_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    if not (tmp_path / FILE_NAME).exists():
        SnapshotDisk(tmp_path).save(SNAPSHOT)
    file = tmp_path / data.draw(st.sampled_from(FILES))
    sound = file.read_bytes()
    file.write_bytes(damaged(sound, data))
    loaded = SnapshotDisk(tmp_path).load()
    file.write_bytes(sound)
    assert loaded is not None
    assert (loaded.memory, loaded.certain, loaded.forgotten) == (MEMORY, True, False)
    if file.name != FILE_NAME:
        assert replace(loaded, faults=()) == SNAPSHOT
        assert [str(file) in each.what for each in loaded.faults] == [True]


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """Truncated, with one bit flipped, or replaced by something else."""
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = content[:at] + bytes([content[at] ^ (1 << data.draw(st.integers(0, 7)))]) + content[at + 1 :]
    return data.draw(st.sampled_from([flipped, flipped, flipped, content[:at], b"", b"{}\n{}", b"[" * 100_000]))


def test_each_part_of_a_snapshot_is_read_for_itself(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path)
    disk.save(SNAPSHOT)
    content = json.loads((tmp_path / FILE_NAME).read_text())
    content["channels"]["canary"]["checkpoint"]["blobs"]["policy.onnx"] = "?"
    content |= {"preference": 5, "control": {"record": "?"}, "revisions": {"control": "x"}, "another": 1}
    (tmp_path / FILE_NAME).write_text(json.dumps(content))
    loaded = disk.load()
    assert loaded is not None
    assert replace(loaded, faults=()) == replace(SNAPSHOT, channels={"stable": CHANNEL}, preference=None)
    told = " ".join(each.what for each in loaded.faults)
    assert [part in told for part in ("canary", "preference", "control", "another")] == [True] * 4
    assert "stable" not in told


def test_where_no_memory_can_be_read_a_kill_may_be_forgotten(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path)
    disk.save(SNAPSHOT)
    for name in FILES[1:]:
        (tmp_path / name).write_text("")
    loaded = disk.load()
    assert loaded is not None
    assert loaded.forgotten
    assert loaded.channels == SNAPSHOT.channels
    (tmp_path / FILE_NAME).unlink()
    loaded = disk.load()
    assert loaded is not None
    assert loaded.forgotten


EMPTY = {"format": 1, "channels": {}, "preference": None, "control": None, "revisions": {"control": 7}}
DAMAGED: tuple[dict[str, Any], ...] = (
    {"format": 2},
    {"channels": []},
    {"channels": {"stable": 5}},
    {"preference": {"record": "", "signature": "", "key_id": 5}},
    {"control": {}},
    {"revisions": []},
    {"revisions": {"control": 1e999}},
    {"kills": [5]},
    {"kills": {}},
    {"resumes": [{"record": "", "signature": "", "key_id": "x"}]},
    {"voided": [5]},
    {"epoch": None},
    {"contrOl": None},
)


@pytest.mark.parametrize("damage", DAMAGED)
def test_damage_to_a_file_that_alone_remembers_may_hide_a_kill(tmp_path: Path, damage: dict[str, Any]) -> None:
    """Earlier versions had no other file."""
    (tmp_path / FILE_NAME).write_text(json.dumps(EMPTY | damage))
    loaded = SnapshotDisk(tmp_path).load()
    assert loaded is not None
    assert loaded.forgotten
    assert all("cannot be read" in each.what for each in loaded.faults)


def test_a_file_of_version_0_1_0_lacks_what_is_remembered_since(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(EMPTY))
    assert SnapshotDisk(tmp_path).load() == SavedSnapshot(memory=NodeMemory({"control": 7}), certain=False)


def test_a_file_that_holds_its_memory_itself_is_read_and_its_memory_goes_into_files_of_its_own(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps(EMPTY | MEMORY.encoded()))
    loaded = SnapshotDisk(tmp_path).load()
    assert loaded == SavedSnapshot(memory=MEMORY, certain=False)
    SnapshotDisk(tmp_path).save(loaded)
    assert SnapshotDisk(tmp_path).load() == SavedSnapshot(memory=MEMORY)


def test_a_bad_byte_in_one_checkpoint_leaves_the_other(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path)
    disk.save(SNAPSHOT)
    file, blob = tmp_path / FILE_NAME, b"AAECAwQF"
    for byte in (b"\0", b"\n", b"\xff", b"?"):
        file.write_bytes(file.read_bytes().replace(blob, blob[:5] + byte + blob[6:], 1))
        loaded = disk.load()
        assert loaded is not None
        assert replace(loaded, faults=()) == replace(SNAPSHOT, channels={"canary": CHANNEL})
        disk.save(SNAPSHOT)


def test_a_snapshot_has_all_that_older_versions_read(tmp_path: Path) -> None:
    SnapshotDisk(tmp_path).save(replace(SNAPSHOT, control=MEMORY.kills[0]))
    content = json.loads((tmp_path / FILE_NAME).read_text())
    assert EMPTY.keys() <= content.keys()
    assert content["control"] is not None
    assert content | MEMORY.encoded() == content
