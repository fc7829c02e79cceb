"""The section names the ratios and the candidates that meet the bars."""

from pathlib import Path

from benchmarks.learner_warm_start_page import write_page


def test_ratios_and_bars_are_on_the_page(tmp_path: Path) -> None:
    cells = [
        {"shift": False, "candidate": "scratch", "seeds": 4, "regret": 0.2, "ratio": [1.0, 1.0, 1.0]},
        {"shift": True, "candidate": "continued", "seeds": 4, "regret": 0.3, "ratio": [1.5, 1.25, 1.75]},
    ]
    recovery = {"seeds": 4, "examples": [0, 2_000], "regret": [[0.7, 0.6, 0.8], [0.4, 0.3, 0.5]], "halved_at": None}
    run = {"date": "2026-01-02", "commit": "abc", "rows_a_week": 8_000, "figures": cells, "met": ["shrunk to 0.5"]}
    page = tmp_path / "results.md"
    write_page(page, run | {"recovery": recovery | {"halved_at": 1_750}})
    assert "About 1,750 examples halve the regret." in page.read_text()
    write_page(page, run | {"recovery": recovery})
    text = page.read_text()
    assert "The regret did not halve." in text and "| 2,000 | 0.400 (0.300 to 0.500) |" in text
    assert "| as before | scratch | 4 | 0.2000 | 1 |" in text
    assert "| shifted | continued | 4 | 0.3000 | 1.500 (1.250 to 1.750) |" in text
    assert "`shrunk to 0.5`" in text
