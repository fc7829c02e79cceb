"""The section says what was measured, and what was not run."""

from pathlib import Path

from benchmarks.learner_regret_page import write_page


def test_figures_and_gaps_are_on_the_page(tmp_path: Path) -> None:
    cell = {"rows": 20_000, "seeds": 3, "cpu_s": 1.5}
    cells = [
        cell | {"learner": "q_network", "regret": [[0.5, 0.4, 0.6]], "beside_network": [[0.0, 0.0, 0.0]]},
        cell
        | {"learner": "linear", "cpu_s": None, "regret": [[0.3, None, None]], "beside_network": [[-0.2, -0.3, -0.1]]},
    ]
    run = {"date": "2026-01-02", "commit": "abc", "alphas": [0.5], "figures": cells, "not_run": ["7 rows, seed 4"]}
    page = tmp_path / "results.md"
    page.write_text("# Results\n\n## Other\n\nkept\n")
    write_page(page, run)
    lines = page.read_text().splitlines()
    assert "| 20,000 | `q_network` | 3 | 1.5 | 0.500 (0.400 to 0.600) |" in lines
    assert "| 20,000 | `linear` | 3 | – | 0.300 |" in lines
    assert "| 20,000 | `linear` | 3 | – | -0.200 (-0.300 to -0.100) |" in lines
    assert "Planned and not run: 7 rows, seed 4." in lines and "kept" in lines
