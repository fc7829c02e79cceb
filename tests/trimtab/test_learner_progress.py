"""A run tells where it stands: a log line for each stage where nobody watches, live lines on a terminal."""

from __future__ import annotations

import pytest

from learner.network.training import TrainingProgress
from trimtab.learner_progress import run_progress
from trimtab.process_log import log_to_stderr

Capture = pytest.CaptureFixture[str]


def told(monkeypatch: pytest.MonkeyPatch, capsys: Capture, terminal: bool) -> str:
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    monkeypatch.setenv("TERM", "xterm")
    log_to_stderr()
    with run_progress() as observer:
        for stored in (10, 20):
            observer.stage("ingest", f"{stored} examples stored")
        observer.stage("train", "20 examples")
        observer.stage("gate", "pass")
        observer.training(TrainingProgress(2, 8, 0.5))
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_file_gets_a_line_for_each_stage(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    lines = told(monkeypatch, capsys, terminal=False).splitlines()
    assert [line.split("event=")[1] for line in lines] == [
        'ingest detail="10 examples stored"',
        'ingest detail="20 examples stored"',
        'train detail="20 examples"',
        "gate detail=pass",
    ]


def test_a_terminal_shows_the_epochs(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    text = told(monkeypatch, capsys, terminal=True)
    assert "train: loss 0.5000" in text and "2/8" in text and "event=" not in text
