"""Differences are of the same seeds, and a crossing needs two sizes at which intervals are on one side of 0."""

from typing import Any

import pytest

from benchmarks.learner_regret_figures import crossings, mean_interval, summary


def run(learner: str, seed: int, regret: float, rows: int = 9) -> dict[str, Any]:
    return {"learner": learner, "asked_rows": rows, "seed": seed, "cpu_s": 1.0, "regret": [regret, regret]}


def test_differences_are_between_runs_of_the_same_seed() -> None:
    runs = [run("q_network", 1, 0.5), run("q_network", 2, 0.9)]
    runs += [run("linear", seed, regret) for seed, regret in ((2, 0.8), (1, 0.4), (3, 0.0))]
    runs += [run("best_arm", 3, 0.7)]
    cells = {cell["learner"]: cell for cell in summary(runs, ("q_network", "linear", "best_arm", "arm_table"))}
    assert list(cells) == ["q_network", "linear", "best_arm"]
    assert (cells["linear"]["seeds"], cells["linear"]["regret"][0][0]) == (3, 0.4)
    assert cells["linear"]["beside_network"][1] == [-0.1, -0.1, -0.1]
    assert cells["best_arm"]["beside_network"] is None
    assert mean_interval([0.25]) == [0.25, None, None]


@pytest.mark.parametrize(
    ("large", "ahead", "crossing"),
    [
        ((0.6, 0.61, 0.6), "network", [9, 90]),
        ((0.3, 0.31, 0.3), "linear", None),
        ((0.3, 0.8, 0.3), "open", None),
        ((0.6, 0.6), "open", None),
    ],
)
def test_a_crossing_is_between_the_sizes_at_which_each_is_ahead(
    large: tuple[float, ...], ahead: str, crossing: list[int] | None
) -> None:
    runs = [run("q_network", seed, 0.5, rows) for seed in (1, 2, 3) for rows in (9, 90)]
    runs += [run("linear", seed, 0.2 + seed / 100) for seed in (1, 2, 3)]
    runs += [run("linear", seed, regret, 90) for seed, regret in enumerate(large, 1)]
    found = crossings(summary(runs, ("q_network", "linear")), (0.1, 0.5))
    assert found[1] == {"alpha": 0.5, "by_rows": {9: "linear", 90: ahead}, "crossing": crossing}
