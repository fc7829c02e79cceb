"""The candidates of small frontiers, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from off_policy.evaluation_report import FrontierPoint
from off_policy.frontier_choices import distance_from_chord, frontier_choices
from off_policy.intervals import EvidenceRequirements
from off_policy.paired_lift import PairedLift, paired_snips_lift
from off_policy.pareto_frontier import pareto_front, proposable

NAMES = ("repin", "p2p")


def lift(relative: float) -> PairedLift:
    ones = np.ones(4)
    return replace(paired_snips_lift(ones, ones, ones, EvidenceRequirements()), relative=relative)


def points(lifts: list[tuple[float, float]]) -> list[FrontierPoint]:
    table = np.array(lifts)
    front, offers = pareto_front(table), proposable(table)
    return [
        FrontierPoint(
            f"alpha={i}", float(i), dict(zip(NAMES, map(lift, row), strict=True)), bool(front[i]), bool(offers[i])
        )
        for i, row in enumerate(lifts)
    ]


def test_three_candidates_and_the_knee() -> None:
    found = frontier_choices(points([(0.10, 0.0), (0.09, 0.06), (0.05, 0.07), (0.0, 0.08), (0.0, 0.0)]), NAMES)
    assert [(each.role, each.point.alpha) for each in found.candidates] == [
        ("leans:repin", 0.0),
        ("knee", 1.0),
        ("leans:p2p", 3.0),
    ]
    assert found.knee is not None and found.knee.alpha == 1.0
    assert found.refusal is None


def test_a_knee_that_loses_is_no_candidate() -> None:
    found = frontier_choices(points([(0.10, -0.5), (0.09, -0.01), (0.02, 0.01), (0.0, 0.02)]), NAMES)
    assert found.knee is not None and found.knee.alpha == 1.0
    assert [each.point.alpha for each in found.candidates] == [2.0, 2.0, 3.0]


def test_without_an_offer_the_least_loss_is_named() -> None:
    found = frontier_choices(points([(0.10, -0.5), (-0.02, 0.3)]), NAMES)
    assert found.candidates == () and found.knee is None
    assert found.refusal is not None and "α = 1 loses least, -2.0% on repin" in found.refusal


def test_nothing_defined_and_nothing_to_trade() -> None:
    undefined = frontier_choices(points([(float("nan"), 0.1)]), NAMES)
    assert undefined.refusal is not None and "too few matched rows" in undefined.refusal
    assert frontier_choices([], NAMES).refusal is not None
    assert frontier_choices(points([(0.1, 0.1)]), ("repin",)).refusal is not None


def test_distances_are_from_the_line_through_the_ends() -> None:
    found = distance_from_chord(np.array([[0.0, 2.0], [5.0, 2.0], [10.0, 0.0]]))
    assert found.tolist() == pytest.approx([0.0, 0.5 / np.sqrt(2), 0.0])
