"""The plain loop of the evaluation benchmark computes what the report says."""

from __future__ import annotations

from pathlib import Path

from benchmarks.evaluation import ALPHAS, COHORTS, OBJECTIVES, compared, largest_difference, main


def test_every_number_of_the_loop_is_in_the_report() -> None:
    found = compared(rows=4000, arms=5, rounds=1)
    assert found["numbers"] == len(ALPHAS) * (len(COHORTS) + 1) * len(OBJECTIVES) * 14
    assert found["largest_difference"] < 1e-12
    assert found["arms_differ"] == 0


def test_a_difference_is_noticed() -> None:
    assert largest_difference({(0, None, "p2p", "ips"): 1.0}, {(0, None, "p2p", "ips"): 1.5}) == 0.5


def test_the_command_keeps_the_figures(tmp_path: Path) -> None:
    main(rows=1000, arms=3, rounds=1, results=tmp_path)
    assert '"ratio"' in (tmp_path / "evaluation.jsonl").read_text()
