"""What a failing command says, and the codes it ends with."""

from __future__ import annotations

import pytest

from event_schemas.errors import SettingError
from trimtab import process_exit


def test_a_fault_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    process_exit.tell(SettingError("no port", mend="choose one"))
    assert capsys.readouterr().err == "error: no port\nmend: choose one\n"


def test_the_codes_are_told_apart_and_documented() -> None:
    codes = (process_exit.FAILED, process_exit.USAGE, process_exit.NEEDS_A_PERSON)
    assert codes == (1, 2, 3)
    for code in codes:
        assert f"| {code} |" in (process_exit.__doc__ or "")
