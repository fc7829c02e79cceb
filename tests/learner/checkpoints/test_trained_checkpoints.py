"""Which checkpoints learnt from given rows, directly or from an ancestor."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from learner.checkpoints.checkpoint import MANIFEST_FILE, CheckpointShelf
from learner.checkpoints.trained_checkpoints import TrainedCheckpoints, trained_on
from learner.examples.forgotten_decisions import ForgottenDecisions
from policy_store.records import CheckpointManifest
from tests.policy_store.store_samples import manifest

EMBARGO = {"embargo_ms": 10}


def forgotten(*times: int, name: str = "list") -> ForgottenDecisions:
    """Forgotten in this order, with the numbers from 1."""
    return ForgottenDecisions(name, len(times), np.arange(1, len(times) + 1), np.array(times, dtype=np.int64))


def kept(folder: Path, version: str, span: tuple[int, int], ancestors: dict[str, int], run: int, mark: int = 0) -> None:
    marked = {"forgotten": mark, "forgotten_list": "list" if mark else None, **EMBARGO}
    lineage = [{"version": name, "train_to": to, **marked} for name, to in ancestors.items()]
    window = {"train_from": span[0], "train_to": span[1], "lineage": lineage, **EMBARGO}
    if mark:
        window["forgotten"] = {"list": "list", "last": mark}
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
    assert trained_on(shelf, forgotten(0, 99)) == TrainedCheckpoints(direct=("a",), inherited=("b",))
    assert trained_on(shelf, forgotten(100)) == TrainedCheckpoints(direct=("b",))
    assert trained_on(shelf, forgotten(300, 50, 199)) == TrainedCheckpoints(direct=("a", "b"))
    assert trained_on(shelf, forgotten(300)) == trained_on(shelf, ForgottenDecisions()) == TrainedCheckpoints()


def test_what_was_forgotten_before_the_training_was_not_learnt(tmp_path: Path) -> None:
    kept(tmp_path, "a", (0, 100), {}, 1, mark=1)
    kept(tmp_path, "b", (0, 200), {"gone": 90}, 2, mark=2)
    shelf = CheckpointShelf(tmp_path)
    assert trained_on(shelf, forgotten(50)) == TrainedCheckpoints()
    assert trained_on(shelf, forgotten(50, 150)) == TrainedCheckpoints()
    assert trained_on(shelf, forgotten(50, 60)) == TrainedCheckpoints(direct=("a",))
    assert trained_on(shelf, forgotten(50, 150, 160)) == TrainedCheckpoints(direct=("b",))
    assert trained_on(shelf, forgotten(50, name="another")) == TrainedCheckpoints(direct=("a", "b"))
    kept(tmp_path, "c", (300, 400), {"gone": 90}, 3, mark=2)
    assert trained_on(shelf, forgotten(50, 60)).inherited == ()
    assert trained_on(shelf, forgotten(50, 60, 70)).inherited == ("c",)
    assert trained_on(shelf, forgotten(50, 60, name="another")).inherited == ("c",), "its mark is of another list"


def test_an_ancestor_that_is_gone_may_have_learnt_and_a_broken_manifest_is_unknown(
    shelf: CheckpointShelf, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "c" / MANIFEST_FILE).write_bytes(b"{}")
    assert trained_on(shelf, forgotten(50)) == TrainedCheckpoints(inherited=("b",), unknown=("c",))
    assert trained_on(shelf, forgotten(100, name="x")) == TrainedCheckpoints(direct=("b",), unknown=("c",))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / MANIFEST_FILE).write_bytes(b"{}")
    found = trained_on(shelf, forgotten(50))
    assert found.inherited == ("b",) and set(found.unknown) == {"a", "c"}, "an unreadable ancestor may have learnt too"
