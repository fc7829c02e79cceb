"""Atomic files."""

from pathlib import Path

import pytest

from learner.examples.durable_files import write_durably, writing
from learner.examples.learner_errors import StoreUnwritable


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


def test_a_full_disk_is_an_error_with_a_fix_and_changes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "f"
    write_durably(target, b"one")
    (tmp_path / "f.tmp").symlink_to("/dev/full")
    with pytest.raises(StoreUnwritable, match=r"f\.tmp: cannot be written: No space left on device .* fix: make room"):
        write_durably(target, b"two")
    assert target.read_bytes() == b"one"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    write_durably(target, b"two")
    assert target.read_bytes() == b"two"


def test_a_fault_that_the_disk_did_not_report_passes(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    with pytest.raises(KeyError), writing(tmp_path / "f"):
        raise KeyError("bug")
    assert (tmp_path / "f").exists()
