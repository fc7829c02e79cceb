"""A small study: every learner on every log, what was not run is said, and differences are of the same seeds."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from benchmarks import learner_regret
from benchmarks.learner_regret import ALPHAS, mean_interval, runs_of, seed_plan, summary


def test_the_command_keeps_figures_and_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_regret, "seed_plan", lambda sizes: [(700, 1)])
    monkeypatch.setattr(learner_regret, "LEARNERS", ("q_network", "linear"))
    monkeypatch.setattr(learner_regret, "TESTED", 20)
    app = typer.Typer()
    app.command()(learner_regret.main)
    where = ["--page", str(tmp_path / "page"), "--results", str(tmp_path)]
    result = CliRunner().invoke(app, ["--json", *where])
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "learner_regret.jsonl").read_text())
    assert [(cell["learner"], cell["seeds"]) for cell in kept["figures"]] == [("q_network", 1), ("linear", 1)]
    assert kept["not_run"] == [] and len(kept["runs"]) == 2
    assert "| 700 | `linear` | 1 |" in (tmp_path / "page").read_text()


def test_no_log_is_begun_after_the_time() -> None:
    assert list(runs_of([(700, 1)], 0.0)) == []


def test_sizes_take_turns() -> None:
    assert seed_plan([(20, 3), (200, 1)]) == [(20, 1), (200, 1), (20, 2), (20, 3)]


def test_differences_are_between_runs_of_the_same_seed() -> None:
    def run(learner: str, seed: int, regret: float) -> dict[str, object]:
        figures = {"learner": learner, "asked_rows": 9, "seed": seed, "cpu_s": 1.0}
        return figures | {"regret": [regret] * len(ALPHAS)}

    runs = [run("q_network", 1, 0.5), run("q_network", 2, 0.9)]
    runs += [run(name, seed, regret) for name in ("linear", "linear_pairs") for seed, regret in ((1, 0.4), (2, 0.8))]
    cells = {cell["learner"]: cell for cell in summary(runs)}
    assert cells["linear"]["regret"][0][0] == 0.6
    assert cells["linear"]["beside_network"][0] == [-0.1, -0.1, -0.1]
    assert mean_interval([0.25]) == [0.25, None, None]
