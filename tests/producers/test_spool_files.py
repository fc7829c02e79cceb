"""The files of a spool are found in their order, and no name is given twice."""

from __future__ import annotations

from pathlib import Path

from producers.spool_files import next_file, size_of, spool_files


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
