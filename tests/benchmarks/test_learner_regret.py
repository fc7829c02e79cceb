"""A small study: every learner on every log, what was not run is said, and no run is repeated."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import learner_regret
from benchmarks.learner_regret import LEARNERS, kept_runs, left_of, runs_of, seed_plan


def test_the_command_keeps_runs_and_page_and_repeats_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_regret, "seed_plan", lambda sizes: [(700, 1)])
    monkeypatch.setattr(learner_regret, "LEARNERS", ("q_network", "linear", "best_arm", "arm_table", "boosted_trees"))
    monkeypatch.setattr(learner_regret, "TESTED", 20)
    monkeypatch.setattr(learner_regret, "peers_installed", lambda: False)
    app = typer.Typer()
    app.command()(learner_regret.main)
    where = ["--page", str(tmp_path / "page"), "--results", str(tmp_path)]
    result = CliRunner().invoke(app, ["--json", *where])
    assert result.exit_code == 0, result.output
    runs = kept_runs(tmp_path)
    assert [run["learner"] for run in runs] == ["q_network", "linear", "best_arm", "arm_table"]
    page = (tmp_path / "page").read_text()
    assert "| 700 | `linear` | 1 |" in page and "700 rows, `boosted_trees`: seed 1" in page
    again = CliRunner().invoke(app, ["--json", *where])
    assert again.exit_code == 0 and kept_runs(tmp_path) == runs
    assert json.loads(again.stdout)["not_run"] == [[700, 1, ["boosted_trees"]]]


def test_no_log_is_begun_after_the_time() -> None:
    assert list(runs_of([((700, 1), LEARNERS)], 0.0)) == []


def test_small_sizes_come_first() -> None:
    assert seed_plan([(20, 2), (200, 1)]) == [(20, 1), (20, 2), (200, 1)]


def test_a_log_is_left_with_the_learners_that_have_no_run_on_it() -> None:
    runs = [{"asked_rows": 20, "seed": seed, "learner": name} for seed, name in ((1, "a"), (1, "b"), (2, "b"))]
    assert left_of([(20, 1), (20, 2), (20, 3)], ("a", "b"), runs) == [((20, 2), ("a",)), ((20, 3), ("a", "b"))]
