"""Which checkpoints learnt from given rows, directly or from an ancestor."""

import shutil
from pathlib import Path

import pytest

from learner.checkpoints.checkpoint import MANIFEST_FILE, CheckpointShelf
from learner.checkpoints.trained_checkpoints import TrainedCheckpoints, trained_on
from policy_store.records import CheckpointManifest
from tests.policy_store.store_samples import manifest

EMBARGO = {"embargo_ms": 10}


def kept(folder: Path, version: str, span: tuple[int, int], ancestors: dict[str, int], run: int) -> None:
    lineage = [{"version": name, "train_to": to, **EMBARGO} for name, to in ancestors.items()]
    window = {"train_from": span[0], "train_to": span[1], "lineage": lineage, **EMBARGO}
    made: CheckpointManifest = manifest(version).model_copy(update={"window": window, "evaluation": {"run": run}})
    (folder / version).mkdir(parents=True)
    (folder / version / MANIFEST_FILE).write_bytes(made.canonical())


@pytest.fixture
def shelf(tmp_path: Path) -> CheckpointShelf:
    kept(tmp_path, "a", (0, 100), {}, 1)
    kept(tmp_path, "b", (100, 200), {"a": 100}, 2)
    kept(tmp_path, "c", (200, 300), {}, 3)
    return CheckpointShelf(tmp_path)


def test_windows_are_half_open_and_what_an_ancestor_learnt_is_inherited(shelf: CheckpointShelf) -> None:
    assert trained_on(shelf, [0, 99]) == TrainedCheckpoints(direct=("a",), inherited=("b",))
    assert trained_on(shelf, [100]) == TrainedCheckpoints(direct=("b",))
    assert trained_on(shelf, [300, 50, 199]) == TrainedCheckpoints(direct=("a", "b"))
    assert trained_on(shelf, [300]) == trained_on(shelf, []) == TrainedCheckpoints()


def test_an_ancestor_that_is_gone_may_have_learnt_and_a_broken_manifest_is_unknown(
    shelf: CheckpointShelf, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "c" / MANIFEST_FILE).write_bytes(b"{}")
    assert trained_on(shelf, [50]) == TrainedCheckpoints(inherited=("b",), unknown=("c",))
