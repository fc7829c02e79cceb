"""Agreement of points that are known by hand: a line, its ceilings, signs and coverage."""

import math

import pytest

from benchmarks.paper.agreement import agreement, summary
from benchmarks.paper.lift_points import Point

HALF = 1.959964


def points(lifts: list[float], true: list[float], half: float) -> list[list[Point]]:
    return [
        [{"lift": lift, "lower": lift - half, "upper": lift + half, "true": truth}]
        for lift, truth in zip(lifts, true, strict=True)
    ]


def test_a_line_is_found_and_shown_beside_what_noise_allows() -> None:
    true = [-2.0, 0.0, 2.0]
    offline, online = points(true, true, HALF), points([-3.0, 1.0, 5.0], true, HALF)
    [found] = agreement(offline, online)
    assert (found["slope"], found["intercept"], found["r"]) == (2.0, 1.0, 1.0)
    reliability = (8 / 3) / (8 / 3 + 1)  # errors of 1 against a variance of 8/3 over α
    assert found["slope_ceiling"] == pytest.approx(reliability, abs=1e-4)
    assert found["r_ceiling"] == pytest.approx(reliability, abs=1e-4)
    assert found["signs"] == pytest.approx(2 / 3, abs=1e-4)
    assert (found["clear"], found["clear_signs"]) == (2, 1.0)
    assert found["covered"] == [3, 2] and found["intervals"] == [3, 3]


def test_refused_intervals_cover_nothing_and_imply_no_error() -> None:
    lifts = [[{"lift": each, "lower": None, "upper": None, "true": each}] for each in (1.0, 2.0)]
    [found] = agreement(lifts, lifts)
    assert found["slope_ceiling"] is None and found["clear_signs"] is None
    assert found["intervals"] == [0, 0] and found["covered"] == [0, 0]


def test_seeds_are_averaged_and_their_counts_added() -> None:
    true = [-2.0, 2.0]
    runs = [agreement(points(true, true, 1.0), points([-2.0 * s, 2.0 * s], true, 1.0)) for s in (1.0, 2.0)]
    [cell] = summary(runs)
    mean, lower, upper = cell["slope"]
    assert mean == 1.5 and lower is not None and upper is not None and math.isclose(lower + upper, 3.0)
    assert cell["covered"] == [4, 2] and cell["clear"] == 4
