"""Daily looks on a small scale: no more errors than the budget, naive looks many, and lifts are found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import online_looks
from benchmarks.online_looks import failures, look, measure
from benchmarks.online_page import HEADING
from benchmarks.online_worlds import OnlineWorld


def test_zero_lift_is_rarely_declared_anything_at_any_look() -> None:
    found = look(OnlineWorld(0.2, users=400, spread=1e9), 150, np.random.default_rng(1), days=30)
    superior, harmed, naive = ((each <= 30).mean() for each in (found.superior, found.harmed, found.naive))
    assert superior <= 0.05 and harmed <= 0.05
    assert naive > 0.2, "1.645 standard errors at every look"


def test_what_is_worse_than_the_margin_is_rarely_adopted() -> None:
    found = look(OnlineWorld(0.2, users=400, lift=(0.5, -0.02), spread=1e9), 100, np.random.default_rng(1), days=20)
    assert (found.superior <= 20).mean() > 0.9
    assert (found.adopted <= 20).mean() <= 0.05


def test_a_large_lift_is_shown_soon_and_a_single_look_knew_it_earlier() -> None:
    found = look(OnlineWorld(0.2, users=400, lift=(0.3, 0.3), spread=1e9), 50, np.random.default_rng(1), days=15)
    assert np.median(found.superior) <= 10
    assert found.power_one_look[2] > 0.5


def test_a_run_writes_its_figures_and_its_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = OnlineWorld(0.2, users=120, lift=(0.1, 0.0))
    monkeypatch.setattr(online_looks, "DAYS", 3)
    monkeypatch.setattr(online_looks, "GROUPS", tuple((name, (small,), 1) for name in ("null", "boundary", "power")))
    page = tmp_path / "results.md"
    page.write_text("# Measured results\n\n## Another\n\ntext\n", encoding="utf-8")
    app = typer.Typer()
    app.command()(online_looks.main)
    options = ["--runs", "20", "--processes", "1", "--page", str(page), "--results", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, options, catch_exceptions=False)
    assert result.exit_code == 0
    assert "## Another" in page.read_text(encoding="utf-8") and HEADING in page.read_text(encoding="utf-8")
    [line] = (tmp_path / "online_looks.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(json.loads(line)["power"]) == 1


def test_bars_are_missed_in_words() -> None:
    sound = measure(OnlineWorld(0.2, users=60), 20, 1)
    assert list(failures([sound], [sound])) == []
    bad = sound | {"superior": 0.3, "adopted": 0.3}
    assert [line.split()[0] for line in failures([bad], [bad])] == ["superior", "adopted"]
