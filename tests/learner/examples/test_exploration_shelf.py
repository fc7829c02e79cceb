"""Exploration settings on disk: complete or absent, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.learner_errors import StoreUnwritable
from tests.box_samples import box_experiment

SETTINGS = box_experiment().exploration
OTHERS = replace(SETTINGS, salt="other")


def test_what_is_kept_is_there(tmp_path: Path) -> None:
    shelf = ExplorationShelf(tmp_path / "explorations")
    assert shelf.load() == {}
    shelf.save(SETTINGS)
    shelf.save(OTHERS)
    shelf.save(SETTINGS)
    assert ExplorationShelf(tmp_path / "explorations").load() == {each.digest: each for each in (SETTINGS, OTHERS)}


def test_a_sound_file_is_not_written_again(tmp_path: Path) -> None:
    ExplorationShelf(tmp_path).save(SETTINGS)
    [path] = tmp_path.iterdir()
    before = path.stat().st_ino
    ExplorationShelf(tmp_path).save(SETTINGS)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", OTHERS.text.encode(), SETTINGS.text.encode()[:-2]])
def test_a_damaged_file_is_named_and_replaced(tmp_path: Path, damage: bytes) -> None:
    shelf = ExplorationShelf(tmp_path)
    shelf.save(SETTINGS)
    shelf.save(OTHERS)
    path = tmp_path / f"{SETTINGS.digest}.json"
    path.write_bytes(damage)
    with capture_logs() as logs:
        assert shelf.load() == {OTHERS.digest: OTHERS}
    assert [line["file"] for line in logs] == [str(path)]
    shelf.save(SETTINGS)
    assert set(shelf.load()) == {SETTINGS.digest, OTHERS.digest}


def test_a_kill_in_the_middle_of_writing_leaves_nothing_to_read(tmp_path: Path) -> None:
    unfinished = tmp_path / f"{SETTINGS.digest}.json.tmp"
    unfinished.write_text(SETTINGS.text[:40])
    shelf = ExplorationShelf(tmp_path)
    assert shelf.load() == {}
    shelf.save(SETTINGS)
    assert set(shelf.load()) == {SETTINGS.digest}
    assert not unfinished.exists()


def test_a_disk_that_refuses_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    with pytest.raises(StoreUnwritable, match="cannot be written"):
        ExplorationShelf(tmp_path / "taken").save(SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
