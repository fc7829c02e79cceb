"""The plain loop of the evaluation benchmark computes what the report says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import evaluation
from benchmarks.evaluation import (
    ALPHAS,
    COHORTS,
    OBJECTIVES,
    compared,
    largest_difference,
    linearity,
    main,
    obp_figures,
)


@pytest.mark.parametrize("by_user", [False, True])
def test_every_number_of_the_loop_is_in_the_report(by_user: bool) -> None:
    found = compared(rows=4000, arms=5, rounds=1, by_user=by_user)
    assert found["numbers"] == len(ALPHAS) * (len(COHORTS) + 1) * len(OBJECTIVES) * 14
    assert found["largest_difference"] < 1e-12
    assert found["arms_differ"] == 0


def test_a_difference_is_noticed() -> None:
    assert largest_difference({(0, None, "p2p", "ips"): 1.0}, {(0, None, "p2p", "ips"): 1.5}) == 0.5


def test_the_command_keeps_the_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "PYTHON", tmp_path / "missing")
    main(rows=1000, arms=3, rounds=1, linear="1000", results=tmp_path)
    line = (tmp_path / "evaluation.jsonl").read_text()
    assert '"ratio"' in line
    assert '"cpu_us_per_row": {"1000": ' in line
    assert '"commit"' in line
    assert '"obp_cpu_seconds"' not in line


def test_each_number_of_rows_has_its_cost() -> None:
    found = linearity([1000, 2000], 3)
    assert list(found) == ["1000", "2000"]
    assert min(found.values()) > 0


def test_the_values_of_obp_are_compared_by_their_place() -> None:
    values = [
        [[{"ips": 100.0 * index + 10.0 * scope + place} for place in range(2)] for scope in range(4)]
        for index in range(2)
    ]
    mine = {
        (index, cohort, objective, "ips"): 100.0 * index + 10.0 * scope + place
        for index in range(2)
        for scope, cohort in enumerate((None, *COHORTS))
        for place, objective in enumerate(OBJECTIVES)
    }
    theirs = {"values": values, "cpu_seconds": 30.0, "interval_cpu_seconds": 2.0}
    found = obp_figures(theirs, mine, 2.0)
    assert (found["obp_times"], found["obp_numbers"], found["obp_largest_difference"]) == (15.0, 16, 0.0)
    mine[1, "CORE", "p2p", "ips"] += 0.5
    assert obp_figures(theirs, mine, 2.0)["obp_largest_difference"] == 0.5
