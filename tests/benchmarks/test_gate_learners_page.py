"""The section has a row for each learner and names missed bars."""

from pathlib import Path
from typing import Any

from benchmarks.gate_learners_page import HEADING, write_page


def test_learners_have_rows_and_bars_are_named(tmp_path: Path) -> None:
    figures: dict[str, Any] = {"learner": "linear", "logs": 24, "lifts": 48, "covered": 43, "level": 0.9, "wrong": 0}
    figures |= {"error_mean": -0.12, "error_spread": 1.02, "half_width": 0.2, "true_lift": 0.05, "seconds": 0.3}
    figures["verdicts"] = {"inconclusive": 20, "pass": 4}
    run = {"date": "2026-01-02", "commit": "abc", "seed": 3, "requests": 120_000, "figures": [figures], "missed": ["a"]}
    page = tmp_path / "page"
    write_page(page, run)
    lines = page.read_text().splitlines()
    assert HEADING in lines and "- a" in lines
    row = (
        "| `linear` | 48 | -0.12 | 1.02 | 43 of 48 (level 0.90) | 0.200 | +0.050 | inconclusive 20, pass 4 | 0 | 0.3 |"
    )
    assert row in lines
    write_page(page, run | {"missed": []})
    assert "Every bar is met." in page.read_text()
