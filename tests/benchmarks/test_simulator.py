"""The benchmark of the simulator measures both paths and the bound, and keeps its figures."""

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from benchmarks.simulator import main, rate


def test_a_rate_is_requests_by_clock_and_by_cpu() -> None:
    found = rate(1_000, lambda: sum(range(200_000)))
    assert set(found) == {"per_second", "per_cpu_second"} and min(found.values()) > 0


def test_the_figures_have_both_paths_and_the_bound(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    arguments = ["--requests", "1000", "--single", "100", "--results", str(tmp_path), "--json"]
    figures = json.loads(CliRunner().invoke(app, arguments, catch_exceptions=False).stdout)
    assert figures["homefeed"]["bytes_per_example"] > 0 < figures["agent"]["per_second"]
    assert set(figures) == {"requests", "homefeed", "no_heterogeneity", "with_policy", "agent", "bound_hashes"}
    kept = json.loads((tmp_path / "simulator.jsonl").read_text(encoding="utf-8"))
    assert kept["homefeed"] == figures["homefeed"] and kept["cores"] > 0
