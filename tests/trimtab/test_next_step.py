"""What comes next is told on stderr: the command on a line to copy, the reason below."""

from __future__ import annotations

import pytest

from trimtab.next_step import say_next


def test_the_command_stands_alone_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    say_next("trimtab join", "it makes\n examples")
    shown = capsys.readouterr()
    assert shown.err == "next: trimtab join\n      it makes examples\n"
    assert shown.out == ""
