"""The section of the study on its page: rewritten in place, with a row for each reward and size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.coverage_page import HEADING, write_page

RUN: dict[str, Any] = {
    "date": "2026-01-02",
    "commit": "abc",
    "cells": 1,
    "replications": 100,
    "seed": 3,
    "level": 0.95,
    "limit": 0.07,
    "missed": [],
}


def figures(name: str, above: float) -> dict[str, Any]:
    zeros = dict.fromkeys(("below", "plain_above", "plain_below"), 0.0)
    return {"name": name, "answered": 0.5, "above": above, "width": 1.1, **zeros}


def cells(*errors: float) -> list[dict[str, Any]]:
    world = {"rate": 0.02, "factor": 1.2, "ess": 1000}
    names = ("snips", "snips lift", "dr good relative")
    return [{"world": world, "intervals": [figures(name, each) for name in names]} for each in errors]


def runs(missed: Sequence[str] = (), *errors: float) -> dict[str, dict[str, Any]]:
    return {"binary": RUN | {"missed": list(missed), "figures": cells(*errors)}}


def test_the_worst_world_of_a_row_is_shown(tmp_path: Path) -> None:
    page = tmp_path / "page"
    write_page(page, runs((), 0.01, 0.031))
    rows = [line for line in page.read_text().splitlines() if line.startswith("| 0.02")]
    assert rows == ["| 0.02 | 1,000 | 20 | 0.50–0.50 | 0.0310 | 0.0000 | 1.10 | 0.0000 | 0.0000 |"] * 3
    assert "Every cell meets every bar." in page.read_text()


def test_only_its_own_section_is_rewritten(tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text(f"# Results\n\n## First\n\none\n\n{HEADING}\n\nyesterday\n\n## Last\n\nthree\n")
    write_page(page, runs(["snips: too wide"], 0.01))
    once = page.read_text()
    assert "yesterday" not in once
    assert [line for line in once.splitlines() if line.startswith("## ")] == ["## First", HEADING, "## Last"]
    assert "Bars missed: 1." in once
    assert "- binary: snips: too wide" in once
    write_page(page, runs(["snips: too wide"], 0.01))
    assert page.read_text() == once


def test_each_group_has_its_tables_and_its_commit(tmp_path: Path) -> None:
    page = tmp_path / "page"
    hits = RUN | {"commit": "def", "figures": [{"world": cells(0)[0]["world"], "intervals": [figures("at_hit", 0.0)]}]}
    write_page(page, {**runs((), 0.01), "counts": RUN | {"figures": cells(0.02)}, "hits": hits})
    text = page.read_text()
    assert [text.count(f"`{group}` on 2026-01-02 at commit") for group in ("binary", "counts", "hits")] == [1, 1, 1]
    assert "at commit def" in text
    assert text.count(": counts up to 5") == 3
    assert text.count("Clopper and Pearson): rewards of 0 or 1") == 1
