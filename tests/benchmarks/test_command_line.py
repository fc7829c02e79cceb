"""How a benchmark reports an error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.command_line import report

ROOT = Path(__file__).parents[2]
COMMANDS = ("join", "join_scaling", "join_memory", "join_latency", "join_catch_up", "join_versions")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(name: str) -> None:
    ended = run(f"benchmarks.{name}", "--help")
    assert ended.returncode == 0
    assert f"python -m benchmarks.{name}" in ended.stdout


def test_an_error_says_what_and_how_to_fix_it() -> None:
    ended = run("benchmarks.join", "--peers", "storm")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no such peer: storm\nfix: choose from trimtab")


@pytest.mark.parametrize("as_json", [True, False])
def test_figures_go_to_stderr_and_json_to_stdout(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    report({"events": 3, "correct": True}, as_json)
    said = capsys.readouterr()
    assert said.err == "events: 3\ncorrect: True\n"
    assert (json.loads(said.out) if as_json else said.out) == ({"events": 3, "correct": True} if as_json else "")
