"""The files of a spool are found in order, and no name is used twice."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from producers.delivery.spool_files import move, next_file, size_of, spool_files


def test_files_are_sent_in_order_whatever_else_lies_there(tmp_path: Path) -> None:
    for name in ("adopted-00000010.spool", "adopted-00000002.spool", "damaged-00000001.spool", "lock", "notes"):
        (tmp_path / name).touch()
    names = [path.name for path in spool_files(tmp_path)]
    assert names == ["outgoing.spool", "adopted-00000002.spool", "adopted-00000010.spool", "incoming.spool"]


def test_the_next_name_comes_after_all_others(tmp_path: Path) -> None:
    assert next_file(tmp_path, "adopted").name == "adopted-00000001.spool"
    for name in ("adopted-00000009.spool", "adopted-by hand.spool", "damaged-00000031.spool"):
        (tmp_path / name).touch()
    assert next_file(tmp_path, "adopted").name == "adopted-00000010.spool"


def test_no_file_has_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "some").write_bytes(b"12345")
    assert (size_of(tmp_path / "some"), size_of(tmp_path / "none")) == (5, 0)


def other_file_system(patch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def refused(source: Path, target: Path) -> Path:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(source, target)

    patch.setattr(Path, "rename", refused)


@pytest.mark.parametrize("mounted", [False, True])
def test_a_file_moves_from_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounted: bool) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    content = bytes(range(256)) * 10_000
    (tmp_path / "from" / "incoming.spool").write_bytes(content)
    if mounted:
        other_file_system(monkeypatch)
    move(tmp_path / "from" / "incoming.spool", tmp_path / "to" / "adopted-00000001.spool")
    assert {path.name for path in tmp_path.rglob("*")} == {"from", "to", "adopted-00000001.spool"}
    assert (tmp_path / "to" / "adopted-00000001.spool").read_bytes() == content


@pytest.mark.parametrize("fails", ["copying", "removing"])
def test_what_cannot_be_moved_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    """On a full disk, or in a directory of another user: a copy left over would be sent again and again."""
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    file = tmp_path / "from" / "incoming.spool"
    file.write_bytes(b"events")
    unlink = Path.unlink

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path == file:
            raise PermissionError
        unlink(path, missing_ok)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        other_file_system(patch)
        if fails == "copying":
            patch.setattr(shutil, "copyfileobj", full)
        else:
            patch.setattr(Path, "unlink", refused)
        with pytest.raises(OSError):
            move(file, tmp_path / "to" / "adopted-00000001.spool")
    assert file.read_bytes() == b"events"
    assert list((tmp_path / "to").iterdir()) == []
