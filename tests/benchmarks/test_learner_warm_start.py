"""A small study of warm starts, the alarm's slope, and the bars."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import learner_warm_start
from benchmarks.learner_warm_start import meeting_bars, runs_of, slope_bound, summary
from benchmarks.shifting_world import ShiftingWorld


def run(shift: bool, *ratios: float) -> dict[str, Any]:
    regrets = dict(zip(("scratch", "better", "worse"), (0.2, *(0.2 * each for each in ratios)), strict=True))
    return {"seed": 1, "shift": shift, "regrets": regrets}


def test_the_command_keeps_figures_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_warm_start, "runs_of", lambda seeds, rows: [run(False, 0.5, 0.9), run(True, 1, 2)] * 2)
    after = [{"seed": seed, "regrets": [0.8, 0.6, 0.2, 0.1, 0.1, 0.1]} for seed in (1, 2)]
    monkeypatch.setattr(learner_warm_start, "recoveries", lambda seeds, rows: after)
    app = typer.Typer()
    app.command()(learner_warm_start.main)
    where = ["--page", str(tmp_path / "page"), "--results", str(tmp_path)]
    result = CliRunner().invoke(app, ["--seeds", "2", "--rows", "500", "--json", *where])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "learner_warm_start.jsonl").read_text())
    assert kept["met"] == ["better"] and kept["rows_a_week"] == 500 and len(kept["runs"]) == 4
    page = (tmp_path / "page").read_text()
    assert "| shifted | worse | 2 | 0.4000 | 2.000 (2.000 to 2.000) |" in page
    assert "About 188 examples halve the regret." in page and "| 250 | 0.200 (0.200 to 0.200) |" in page


def test_each_seed_has_every_candidate_without_a_shift_and_after_one() -> None:
    found = list(runs_of([1], 500))
    assert [(each["seed"], each["shift"]) for each in found] == [(1, False), (1, True)]
    for each in found:
        assert set(each["regrets"]) >= {"scratch", "continued", "shrunk to 0.5", "better of two", "alarm"}
        assert all(0 < regret < 2 for regret in each["regrets"].values())
        assert each["regrets"]["alarm"] in (each["regrets"]["scratch"], each["regrets"]["continued"])


def test_the_alarm_s_slope_is_1_for_the_truth_and_small_for_another_taste() -> None:
    world = ShiftingWorld(4, 6_000)
    week = world.week(0, 0)
    users = week.inputs["user_embedding"]
    assert slope_bound(world.rates(users, 0).astype(np.float32), week) > 0.95
    assert slope_bound(world.rates(users, 1).astype(np.float32), week) < 0.5


def test_ratios_are_geometric_means_and_bars_are_held() -> None:
    runs = [run(False, 0.5, 0.9), run(False, 0.72, 0.9), run(True, 1.0, 1.2), run(True, 1.0, 1.2)]
    cells = summary(runs)
    found = {(cell["candidate"], cell["shift"]): cell["ratio"] for cell in cells}
    assert found["better", False][0] == 0.6
    assert found["worse", True] == [1.2, 1.2, 1.2]
    assert meeting_bars(cells) == ["better"]
