"""The section names the ratios and the candidates that meet the bars."""

from pathlib import Path

from benchmarks.learner_warm_start_page import write_page


def test_ratios_and_bars_are_on_the_page(tmp_path: Path) -> None:
    cells = [
        {"shift": False, "candidate": "scratch", "seeds": 4, "regret": 0.2, "ratio": [1.0, 1.0, 1.0]},
        {"shift": True, "candidate": "continued", "seeds": 4, "regret": 0.3, "ratio": [1.5, 1.25, 1.75]},
    ]
    run = {"date": "2026-01-02", "commit": "abc", "rows_a_week": 8_000, "figures": cells, "met": ["shrunk to 0.5"]}
    page = tmp_path / "results.md"
    write_page(page, run)
    text = page.read_text()
    assert "| as before | scratch | 4 | 0.2000 | 1 |" in text
    assert "| shifted | continued | 4 | 0.3000 | 1.500 (1.250 to 1.750) |" in text
    assert "`shrunk to 0.5`" in text
