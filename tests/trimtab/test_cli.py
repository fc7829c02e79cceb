"""The command line as a user meets it: help everywhere, one line of error and one of fix, exit codes."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from trimtab.cli import build_app


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trimtab", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )


def commands(command: typer.core.TyperGroup | object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    children = getattr(command, "commands", None)
    if not children:
        return [path]
    return [leaf for name, child in children.items() for leaf in commands(child, (*path, name))]


APP = typer.main.get_command(build_app())


@pytest.mark.parametrize("path", commands(APP), ids=" ".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    command = APP
    for name in path:
        command = command.commands[name]  # type: ignore[attr-defined]
    assert "Example" in (command.help or ""), f"trimtab {' '.join(path)} shows no example"


def test_a_broken_experiment_ends_in_one_error_and_one_fix(tmp_path: Path) -> None:
    file = tmp_path / "trimtab.toml"
    file.write_text("[experiment]\nname = 5\n")
    ended = run("learn", "--once", TRIMTAB_EXPERIMENT=str(file))
    assert ended.returncode == 1
    lines = ended.stderr.strip().splitlines()
    assert lines[-2].startswith(f"error: {file}: experiment.name = 5")
    assert lines[-1].startswith("fix: ")


def test_help_is_cheap() -> None:
    """No stage's heavy libraries load for `--help`."""
    code = (
        "import sys; from trimtab.cli import build_app; build_app();"
        "heavy = ('torch', 'faust', 'polars', 'pyarrow', 'onnxruntime', 'altair', 'confluent_kafka', 'redis');"
        "print([m for m in heavy if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"


def test_the_version_is_printed_whatever_the_settings() -> None:
    ended = run("--version", TRIMTAB_NO_SUCH_SETTING="1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.fullmatch(rf"trimtab \S+ \(Python {platform.python_version()}\)\n", ended.stdout)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("trimtab pol", {"policy"}),
        ("trimtab policy pro", {"promote"}),
        ("trimtab policy promote l", {"latest"}),
        ("trimtab policy promote latest --to ", {"stable", "canary", "shadow"}),
        ("trimtab policy history channel:s", {"channel:stable", "channel:shadow"}),
        ("trimtab evaluate --policy s", {"stable", "shadow"}),
    ],
)
def test_a_shell_completes_verbs_and_choices(typed: str, completed: set[str]) -> None:
    words = typed.split(" ")
    variables = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1), "_TRIMTAB_COMPLETE": "complete_bash"}
    ended = CliRunner().invoke(build_app(), env=variables, prog_name="trimtab")
    assert set(ended.stdout.split()) == completed


def test_the_completion_of_a_shell_is_printed() -> None:
    ended = run("--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert ended.returncode == 0
    assert "complete -o default -F" in ended.stdout
