"""Checkpoints on disk: complete or not there, and never altered unnoticed."""

from pathlib import Path
from typing import Any

import pytest

from learner.checkpoint import BLOBS, KEPT_VERSIONS, OPTIMISER_FILE, Checkpoint, CheckpointShelf, version_id
from learner.learner_errors import CheckpointBroken
from policy_store.checkpoint_record import describe_blobs


@pytest.fixture
def shelf(tmp_path: Path) -> CheckpointShelf:
    return CheckpointShelf(tmp_path / "checkpoints")


def renamed(checkpoint: Checkpoint, version: str) -> Checkpoint:
    return Checkpoint(checkpoint.manifest.model_copy(update={"version": version}), checkpoint.blobs, b"optimiser")


def test_a_saved_checkpoint_loads_as_it_was(shelf: CheckpointShelf, trained: Any) -> None:
    checkpoint = trained.report.checkpoint
    shelf.save(checkpoint)
    loaded = shelf.load(checkpoint.version)
    assert loaded.manifest == checkpoint.manifest
    assert loaded.blobs == dict(checkpoint.blobs)
    assert loaded.optimiser == checkpoint.optimiser
    assert set(loaded.blobs) == set(BLOBS)


def test_versions_sort_by_age_and_old_ones_are_cleared(shelf: CheckpointShelf, trained: Any) -> None:
    assert shelf.versions() == []
    names = [f"2026010{i:02d}T000000000Z-00000000" for i in range(KEPT_VERSIONS + 3)]
    for name in reversed(names[:5]):
        shelf.save(renamed(trained.report.checkpoint, name))
    for name in names[5:]:
        shelf.save(renamed(trained.report.checkpoint, name))
    assert shelf.versions() == names[3:]


def test_a_half_written_version_is_not_one(shelf: CheckpointShelf, trained: Any, tmp_path: Path) -> None:
    shelf.save(trained.report.checkpoint)
    half = tmp_path / "checkpoints" / ".later.tmp"
    half.mkdir()
    (half / "manifest.json").write_bytes(b"{}")
    assert shelf.versions() == [trained.report.checkpoint.version]
    shelf.save(renamed(trained.report.checkpoint, "20270101T000000000Z-00000000"))
    assert not half.exists(), "the next save takes it away"


@pytest.mark.parametrize("name", [*BLOBS, OPTIMISER_FILE, "manifest.json"])
def test_a_missing_file_is_noticed(shelf: CheckpointShelf, trained: Any, name: str) -> None:
    (shelf.save(trained.report.checkpoint) / name).unlink()
    with pytest.raises(CheckpointBroken, match=trained.report.checkpoint.version):
        shelf.load(trained.report.checkpoint.version)


def test_an_altered_blob_is_noticed(shelf: CheckpointShelf, trained: Any) -> None:
    path = shelf.save(trained.report.checkpoint) / "policy.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointBroken, match=r"policy\.onnx differs"):
        shelf.load(trained.report.checkpoint.version)


def test_a_version_names_its_time_and_content() -> None:
    first = version_id(1_700_000_000_123, {"a": b"1", "b": b"2"})
    assert first.startswith("20231114T221320123Z-")
    assert first != version_id(1_700_000_000_123, {"a": b"12", "b": b""})
    assert first < version_id(1_700_000_000_124, {"a": b"1", "b": b"2"})
    assert describe_blobs({"a": b"1"})["a"].size == 1
