"""A node's memory on its disk: two files with the same content, of which either is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_store.records.governed_record import SignedRecord
from serving_agent.pickup.memory_disk import FILE_NAMES, MemoryDisk, SnapshotUnreadable
from serving_agent.pickup.node_memory import KEPT, NodeMemory


def memory_of(*names: str) -> NodeMemory:
    return NodeMemory(kills=tuple(SignedRecord(name.encode(), b"", "governance/x") for name in names))


def test_both_files_hold_what_was_saved(tmp_path: Path) -> None:
    disk = MemoryDisk(tmp_path)
    assert disk.load() is None
    disk.save(memory_of("a"))
    disk.save(memory_of("b"))
    for name in FILE_NAMES:
        (tmp_path / name).rename(tmp_path / "away")
        assert disk.load() == memory_of("a", "b")
        (tmp_path / "away").rename(tmp_path / name)


@pytest.mark.parametrize("damaged", FILE_NAMES)
def test_a_damaged_file_is_reported_and_fixed_by_the_next_save(tmp_path: Path, damaged: str) -> None:
    disk = MemoryDisk(tmp_path)
    disk.save(memory_of("a"))
    (tmp_path / damaged).write_bytes((tmp_path / damaged).read_bytes().replace(b"key_id", b"key_iD"))
    faults: list[SnapshotUnreadable] = []
    assert disk.load(faults) == memory_of("a")
    assert [damaged in each.what for each in faults] == [True]
    disk.save(NodeMemory())
    faults.clear()
    assert disk.load(faults) == memory_of("a")
    assert faults == []


def test_a_save_that_was_cut_short_between_the_files_is_remembered(tmp_path: Path) -> None:
    disk = MemoryDisk(tmp_path)
    disk.save(memory_of("a"))
    (tmp_path / FILE_NAMES[1]).with_suffix(".draft").mkdir()
    with pytest.raises(OSError):
        disk.save(memory_of("b"))
    assert disk.load() == memory_of("a", "b")


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    disk = MemoryDisk(tmp_path)
    disk.save(memory_of("a", "b"))
    before = [(tmp_path / name).stat().st_ino for name in FILE_NAMES]
    disk.save(memory_of("b"))
    assert [(tmp_path / name).stat().st_ino for name in FILE_NAMES] == before


def test_the_files_do_not_grow_with_kills_that_were_lifted(tmp_path: Path) -> None:
    disk, known = MemoryDisk(tmp_path), memory_of("held")
    for part in range(3):
        lifted = memory_of(*(f"{part} {number}" for number in range(KEPT)))
        resume = SignedRecord(f"resume {part}".encode(), b"", "governance/x")
        known = known.merged(lifted).merged(NodeMemory(resumes={resume: tuple(each.hash for each in lifted.kills)}))
        disk.save(known)
        loaded = disk.load()
        assert loaded is not None
        assert len(loaded.kills) == KEPT + 1
        assert loaded.kills[0] == known.kills[0]
