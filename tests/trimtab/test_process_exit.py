"""What a failing command prints, and its exit codes."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from event_schemas.errors import SettingError, TrimtabError
from trimtab import process_exit


def test_a_fault_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    process_exit.tell(SettingError("no port", fix="choose one"))
    assert capsys.readouterr().err == "error: no port\nfix: choose one\n"


def test_each_part_is_one_line_whatever_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    process_exit.tell(TrimtabError("bad file:\n  column 3\n\n", fix="look\tat it"))
    assert capsys.readouterr().err == "error: bad file: column 3\nfix: look at it\n"


def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(OSError, match="Not a directory") as caught:
        (file / "data").mkdir()
    fault = process_exit.of_the_machine(caught.value)
    assert fault.what == f"{file / 'data'}: Not a directory"
    assert "TRIMTAB_DATA_DIR" in fault.fix


def test_a_full_disk_and_what_has_no_path_have_their_own_fix() -> None:
    full = process_exit.of_the_machine(OSError(errno.ENOSPC, "No space left on device"))
    assert (full.what, "free space" in full.fix) == ("[Errno 28] No space left on device", True)
    files = process_exit.of_the_machine(OSError(errno.EMFILE, "Too many open files"))
    assert "Too many open files" in files.what
    assert "machine" in files.fix


def test_the_codes_are_told_apart_and_documented() -> None:
    codes = (process_exit.FAILED, process_exit.USAGE, process_exit.NEEDS_A_PERSON)
    assert codes == (1, 2, 3)
    for code in codes:
        assert f"| {code} |" in (process_exit.__doc__ or "")
