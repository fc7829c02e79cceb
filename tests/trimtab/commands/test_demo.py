"""`trimtab demo` at the command line; whole runs are in tests/end_to_end."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.demo_samples import sample_result
from trimtab.commands import demo
from trimtab.demo import demo_run
from trimtab.stop_flag import StopFlag


def app() -> typer.Typer:
    built = typer.Typer()
    demo.register(built)
    return built


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_the_end_is_a_table_or_the_summary(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[Path]()

    def finished(directory: Path, console: object, now: datetime, stop: StopFlag) -> object:
        assert console is not None and now.tzinfo is UTC and stop.signal is None
        asked.append(directory)
        return sample_result()

    monkeypatch.setattr(demo_run, "run_demo", finished)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path))
    result = CliRunner().invoke(app(), arguments, catch_exceptions=False)
    assert asked == [tmp_path / "demo"] and result.exit_code == 0
    if arguments:
        assert json.loads(result.stdout)["decisions"] == 300
    else:
        assert "open-bandit-all" in result.stdout and "report.html" in result.stdout.replace("\n", "")
