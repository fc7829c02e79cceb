"""A bar shows where a command stands on a terminal, and nothing elsewhere."""

from __future__ import annotations

import pytest

from trimtab.live_bar import live_bar

Capture = pytest.CaptureFixture[str]


def shown(monkeypatch: pytest.MonkeyPatch, capsys: Capture, terminal: bool) -> str:
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with live_bar() as show:
        show("replay log", 1, 4, "1 bad")
        show("read letters", 3, 4)
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_terminal_shows_the_last_state(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    text = shown(monkeypatch, capsys, terminal=True)
    assert "3/4" in text[text.rindex("read letters") :]


def test_a_file_stays_empty(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    assert shown(monkeypatch, capsys, terminal=False) == ""
