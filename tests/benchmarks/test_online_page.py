"""The section of the page with daily looks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.online_page import HEADING, write_section
from benchmarks.online_worlds import OnlineWorld

RUN = {"date": "2026-11-30", "commit": "abc", "runs": 2000, "seed": 1, "missed": []}


def cell(**changes: Any) -> dict[str, Any]:
    world = asdict(OnlineWorld(0.02, spread=1e9)) | {"requests_a_day": 960.0}
    shares = {"superior": 0.0215, "adopted": 0.0, "harmed": 0.019, "naive": 0.55}
    days = {"days_median": 13.0, "days_80": 17.0, "days_adopted_80": None, "days_80_one_look": 1}
    return {"world": world, "runs": 2000, **shares, **days, **changes}


def test_the_section_is_replaced_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text(f"# Measured results\n\n{HEADING}\n\nold\n\n## Another\n\ntext\n", encoding="utf-8")
    write_section(page, RUN, {"null": [cell()], "boundary": [cell()], "power": [cell()]})
    text = page.read_text(encoding="utf-8")
    assert "old" not in text and text.endswith("## Another\n\ntext\n")
    assert "| 0.02 | 400 | +0.0%, +0.0% | ∞ | day 1 | 0.0215 | 0.0190 | 0.5500 |" in text
    assert "| 0.0215 | 13 | 17 | over 90 | 1 |" in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120


def test_missed_bars_are_listed(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    write_section(page, RUN | {"missed": ["superior in 0.3"]}, {"null": [], "boundary": [], "power": []})
    assert "Bars missed: 1.\n\n- superior in 0.3" in page.read_text(encoding="utf-8")
