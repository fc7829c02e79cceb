"""The section of the gate's study."""

from pathlib import Path

from benchmarks.gate_page import HEADING, write_gate_page

RUN = {"date": "2026-11-30", "commit": "abc", "seed": 1, "rule_runs": 4000, "runs": 2000, "limit": 0.0646, "missed": []}
RULE = {"rule": "even", "error": 0.04, "signal": 0.75, "rows": 1.27, "fresh": 18.0, "after": 27.0}
WORLD = {"name": "+30%", "holdout": 14, "rows": 9000.0, "first": 0.8, "within_14": 0.81, "within_90": 1.0, "wrong": 0.0}


def test_both_tables_are_written_and_missed_bars_named(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    world = WORLD | {"refused": 0.002, "foretold": 0.8}
    write_gate_page(page, RUN, [RULE], [world, world | {"foretold": None}])
    text = page.read_text()
    assert text.count(HEADING) == 1
    assert "| even | 0.040 | 0.75 | 1.27 | 18.0 | 27.0 | 1.50 |" in text
    assert "| +30% | 14 d | 18,000 | 0.800 | 0.810 | 1.000 | 0.000 | 0.002 | 0.80 |" in text
    assert "| 0.002 | – |" in text
    assert "Every bar is met." in text and "4,000 runs of each rule" in text
    write_gate_page(page, RUN | {"missed": ["even: too slow"]}, [RULE], [world])
    assert "Bars missed: 1.\n\n- even: too slow" in page.read_text()
