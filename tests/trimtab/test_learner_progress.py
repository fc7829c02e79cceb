"""A run tells where it stands: a log line for each stage where nobody watches, live lines on a terminal."""

from __future__ import annotations

from itertools import count

import pytest

from learner.network.training_progress import TrainingProgress
from trimtab.learner_progress import run_progress
from trimtab.process_log import log_to_stderr

Capture = pytest.CaptureFixture[str]


def told(monkeypatch: pytest.MonkeyPatch, capsys: Capture, terminal: bool) -> str:
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    monkeypatch.setenv("TERM", "xterm")
    log_to_stderr()
    seconds = count()
    with run_progress(lambda: float(next(seconds))) as observer:
        for stored in (10, 20, 20):
            observer.stage("ingest", f"{stored} examples stored")
            observer.done("ingest", stored)
        observer.stage("canary", "v1: wait")
        observer.stage("train", "20 examples")
        observer.done("train", 20)
        observer.stage("gate", "pass")
        observer.done("gate", 7)
        observer.training(TrainingProgress(2, 8, 0.5))
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_a_file_gets_a_line_for_each_stage_with_rows_and_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    lines = told(monkeypatch, capsys, terminal=False).splitlines()
    assert [line.split("event=")[1] for line in lines] == [
        'ingest detail="10 examples stored" rows=10 seconds=1.0',
        'ingest detail="20 examples stored" rows=20 seconds=2.0',
        'canary detail="v1: wait"',
        'train detail="20 examples" rows=20 seconds=1.0',
        "gate detail=pass rows=7 seconds=1.0",
    ]


def test_a_terminal_shows_the_epochs(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    text = told(monkeypatch, capsys, terminal=True)
    assert "train: loss 0.5000" in text and "2/8" in text and "event=" not in text
