"""The command line as a user meets it: help everywhere, one line of error and one of fix, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

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
        "print([m for m in ('torch', 'faust', 'polars', 'pyarrow', 'onnxruntime', 'altair') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.strip() == "[]"
