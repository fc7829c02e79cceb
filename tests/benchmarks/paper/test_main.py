"""The command keeps what was run and what was not, and names the findings there are."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks.paper.__main__ import main
from event_schemas.errors import SettingError


def app() -> typer.Typer:
    found = typer.Typer()
    found.command()(main)
    return found


def test_a_run_without_time_says_what_was_not_run(tmp_path: Path) -> None:
    where = ["--page", str(tmp_path / "page"), "--results", str(tmp_path)]
    result = CliRunner().invoke(app(), ["--minutes", "0", "--seeds", "1", "--only", "controls", *where])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "paper.jsonl").read_text())
    assert kept["not_run"] == ["controls_run of seed 1"] and kept["figures"] == {} and kept["runs"] == []
    assert "controls_run of seed 1" in (tmp_path / "page").read_text()


def test_an_unknown_finding_is_named() -> None:
    with pytest.raises(SettingError, match="there is no finding 'table9'"):
        main(only=["table9"])
