"""A small study with a fixed seed: every fault is stopped, no sound log is, and misses are said."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import soundness
from benchmarks.soundness import clopper_pearson, count_verdicts, failures, study
from benchmarks.soundness_logs import SoundnessWorld


def test_the_command_keeps_figures_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soundness, "LARGE", 2_500)
    monkeypatch.setattr(soundness, "SMALL", 1_500)
    app = typer.Typer()
    app.command()(soundness.main)
    where = ["--page", str(tmp_path / "page"), "--results", str(tmp_path)]
    result = CliRunner().invoke(app, ["--large", "2", "--small", "2", "--processes", "1", "--json", *where])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout.splitlines()[-1])
    kept = json.loads((tmp_path / "soundness.jsonl").read_text())
    assert kept["figures"] == told["figures"] and kept["seed"] == 1 and told["missed"] == []
    faulty = {cell["name"]: cell["stopped"] for cell in told["figures"] if cell["fault"]}
    assert set(faulty) > set(soundness.FAULTS) and set(faulty.values()) == {2}
    assert "Every bar is met." in (tmp_path / "page").read_text()


def test_the_number_of_processes_changes_nothing() -> None:
    world = SoundnessWorld("by request", 1_000, loss=0.02)
    [cell] = study([(world, 55)], 3, 2)
    alone = count_verdicts(world, 3, 0, 50) + count_verdicts(world, 3, 1, 5)
    assert (cell["logs"], cell["stopped"]) == (55, alone["unsound"])


def test_missed_bars_are_named() -> None:
    def cell(fault: bool, stopped: int, unverified: int = 0) -> dict[str, object]:
        return {"name": "w", "fault": fault, "logs": 1_000, "stopped": stopped, "unverified": unverified}

    assert list(failures([cell(True, 950), cell(False, 1)])) == []
    missed = list(failures([cell(True, 949), cell(False, 2, 3)]))
    assert missed == [
        "w: only 949 of 1000 logs are stopped",
        "2 of 1000 sound logs are stopped",
        "w: the completeness of 3 of 1000 logs is unverified",
    ]


def test_intervals_of_shares_are_exact() -> None:
    assert clopper_pearson(0, 10_000) == pytest.approx((0.0, 0.000369), rel=0.01)
    assert clopper_pearson(400, 400)[1] == 1.0
    assert clopper_pearson(5, 10) == pytest.approx((0.187, 0.813), abs=1e-3)
