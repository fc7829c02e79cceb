"""The section says what was measured, where learners cross, and what was not run."""

from pathlib import Path

from benchmarks.learner_regret_page import write_page


def test_figures_and_gaps_are_on_the_page(tmp_path: Path) -> None:
    cell = {"rows": 20_000, "seeds": 3, "cpu_s": 1.5}
    cells = [
        cell | {"learner": "q_network", "regret": [[0.5, 0.4, 0.6]], "beside_network": [[0.0, 0.0, 0.0]]},
        cell | {"learner": "linear", "regret": [[0.3, None, None]], "beside_network": [[-0.2, -0.3, -0.1]]},
        cell | {"learner": "best_arm", "regret": [[0.9, 0.8, 1.0]], "beside_network": None},
    ]
    run = {
        "measured": [("2026-01-02", "abc"), ("2026-01-03", "def")],
        "alphas": [0.5],
        "figures": cells,
        "ahead": [{"alpha": 0.5, "by_rows": {20_000: "linear", 200_000: "network"}, "crossing": [20_000, 200_000]}],
        "not_run": [(7, 4, ["linear"]), (7, 5, ["linear"]), (7, 5, ["q_network"])],
    }
    page = tmp_path / "results.md"
    page.write_text("# Results\n\n## Other\n\nkept\n")
    write_page(page, run)
    lines = page.read_text().splitlines()
    assert "| 20,000 | `q_network` | 3 | 1.5 | 0.500 (0.400 to 0.600) |" in lines
    assert "| 20,000 | `linear` | 3 | 1.5 | 0.300 |" in lines
    assert "| 20,000 | `linear` | 3 | 1.5 | -0.200 (-0.300 to -0.100) |" in lines
    assert sum("`best_arm` | 3" in line for line in lines) == 1 and "kept" in lines
    text = " ".join(lines)
    assert "on 2026-01-02 at commit abc, on 2026-01-03 at commit def" in text
    assert "at 200,000 rows the network is ahead: between 20,000 and 200,000." in text
    assert "Planned and not run: 7 rows, `linear`: seeds 4 to 5; 7 rows, `q_network`: seed 5." in text
