"""Atomic files."""

from pathlib import Path

from learner.durable_files import publish, write_durably


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    target = tmp_path / "f"
    write_durably(target, b"one")
    write_durably(target, b"two")
    assert target.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_left_over_of_a_crash_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "f.tmp").write_bytes(b"half a fi")
    write_durably(tmp_path / "f", b"whole")
    assert (tmp_path / "f").read_bytes() == b"whole"


def test_publish_renames(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    publish(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").is_dir()
