"""The file of the last good snapshot: exact, replaced in one step, honest about damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_store.checkpoint_record import SignedCheckpoint
from policy_store.governed_record import SignedRecord
from serving_agent.snapshot_disk import FILE_NAME, SavedChannel, SavedSnapshot, SnapshotDisk, SnapshotUnreadable
from tests.components.forking import in_child, outcome_of

SNAPSHOT = SavedSnapshot(
    channels={
        "stable": SavedChannel(
            SignedRecord(b'{"a":1}', b"\x00\xff", "governance/x"),
            SignedCheckpoint(b"{}", b"\x01", "learner/y", {"policy.onnx": bytes(range(256))}),
        )
    },
    preference=SignedRecord(b"{}", b"\x02", "governance/x"),
    revisions={"channel:stable": 5, "control": 7},
    kills=(SignedRecord(b"k", b"\x03", "governance/x"), SignedRecord(b"l", b"\x04", "governance/x")),
    resumes={SignedRecord(b"r", b"\x05", "governance/x"): ("ab" * 32, "cd" * 32), SignedRecord(b"s", b"", "y/z"): ()},
    epoch=3,
    voided=frozenset({"ef" * 32}),
    accepted_in={"channel:stable": 2},
)


def test_reads_back_what_was_saved(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path / "node")
    assert disk.load() is None
    disk.save(SNAPSHOT)
    assert SnapshotDisk(tmp_path / "node").load() == SNAPSHOT


def test_a_save_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    disk = SnapshotDisk(tmp_path)
    disk.save(SNAPSHOT)
    (tmp_path / FILE_NAME).with_suffix(".draft").mkdir()
    with pytest.raises(OSError):
        disk.save(SavedSnapshot())
    assert disk.load() == SNAPSHOT


def save_in_both(folder: str) -> list[bool]:
    """The parent is in the middle of a save while its child saves."""
    disk = SnapshotDisk(Path(folder))
    with (Path(folder) / FILE_NAME).with_suffix(".draft").open("w") as unfinished:
        unfinished.write("half of")
        unfinished.flush()

        def child() -> bool:
            disk.save(SNAPSHOT)
            return disk.load() == SNAPSHOT

        saved = bool(in_child(child))
        unfinished.write(" a snapshot")
    return [saved, disk.load() == SNAPSHOT]


def test_parent_and_child_do_not_write_into_each_others_drafts(tmp_path: Path) -> None:
    assert outcome_of(save_in_both, tmp_path) == [True, True]


EMPTY = '"format": 1, "channels": {}, "preference": null, "control": null'
DAMAGED = (
    *("", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "channels": []}', "[" * 100_000),
    f'{{{EMPTY}, "revisions": {{"control": Infinity}}}}',
    f'{{{EMPTY}, "revisions": []}}',
    '{"format": 1, "channels": {}, "preference": {"record": "", "signature": "", "key_id": 5}, "control": null}',
    f'{{{EMPTY}, "revisions": {{}}, "kills": [5]}}',
    f'{{{EMPTY}, "revisions": {{}}, "resumes": [{{"record": "", "signature": "", "key_id": "x"}}]}}',
    f'{{{EMPTY}, "revisions": {{}}, "voided": [5]}}',
    f'{{{EMPTY}, "revisions": {{}}, "voided": {{}}, "epoch": null}}',
)


@pytest.mark.parametrize("content", DAMAGED)
def test_damage_is_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(SnapshotUnreadable, match="cannot be read"):
        SnapshotDisk(tmp_path).load()


def test_a_file_of_version_0_1_0_lacks_what_is_remembered_since(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(f'{{{EMPTY}, "revisions": {{"control": 7}}}}')
    assert SnapshotDisk(tmp_path).load() == SavedSnapshot(revisions={"control": 7})
