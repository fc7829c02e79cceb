"""A directory is synced as such, once, and left closed; a file is replaced in one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from event_schemas.directory_sync import publish, replace_file, sync_directory, sync_file


def test_the_directory_itself_is_synced_and_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []

    def note(descriptor: int) -> None:
        assert stat.S_ISDIR(os.fstat(descriptor).st_mode)
        assert os.path.samestat(os.fstat(descriptor), tmp_path.stat())
        synced.append(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    sync_directory(tmp_path)
    [descriptor] = synced
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "none")


def test_replacing_a_file_leaves_no_draft(tmp_path: Path) -> None:
    replace_file(tmp_path / "x.json", b"1", tmp_path / "x.draft")
    replace_file(tmp_path / "x.json", b"2", tmp_path / "x.draft")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("x.json", b"2")]


def test_a_directory_gets_its_name_in_one_step(tmp_path: Path) -> None:
    (tmp_path / "draft").mkdir()
    publish(tmp_path / "draft", tmp_path / "final")
    assert [each.name for each in tmp_path.iterdir()] == ["final"]


def test_a_finished_file_is_synced_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"1")
    synced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size == 1))
    sync_file(tmp_path / "x")
    assert synced == [True]
