"""The frontier as rows and as SVG."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from off_policy.evaluation_report import EvaluationReport, FrontierPoint
from off_policy.frontier_chart import MAX_LABELS, frontier_chart, frontier_rows, lifts_over_alpha_chart
from off_policy.intervals import EvidenceRequirements
from off_policy.policy_evaluation import evaluate_policies
from off_policy.svg_rendering import to_svg
from off_policy.target_policies import alpha_policies, constant_policy
from tests.off_policy.bandit_worlds import PRODUCTION, lively_world


def report(objectives: int, rows: int = 5000) -> EvaluationReport:
    world = lively_world(objectives)
    log, context = world.draw(rows, np.random.default_rng(1))
    q = world.model(context)
    baseline = constant_policy("production", PRODUCTION, rows)
    return evaluate_policies(log, alpha_policies(q, 0, np.linspace(0, 1, 25)), baseline, q, EvidenceRequirements())


def test_rows_are_in_percent_and_labels_few() -> None:
    evaluation = report(2)
    points = evaluation.frontier()
    rows = frontier_rows(points, evaluation.objectives)
    assert len(rows) == 25
    assert rows[3]["lift0"] == pytest.approx(100 * points[3].lifts["objective0"].relative, abs=1e-5)
    assert 1 <= sum(bool(row["label"]) for row in rows) <= MAX_LABELS
    assert {row["status"] for row in rows} <= {"may be proposed", "on the front", "dominated"}


def test_refused_intervals_are_left_out() -> None:
    evaluation = report(2, rows=60)
    rows = frontier_rows(evaluation.frontier(), evaluation.objectives)
    assert all(row["low0"] is None and row["high1"] is None for row in rows)


@pytest.mark.parametrize(("objectives", "rows"), [(2, 5000), (1, 5000), (2, 5)])
def test_it_draws(objectives: int, rows: int) -> None:
    svg = to_svg(frontier_chart(report(objectives, rows)), "frontier")
    assert "lift over production, %" in svg


def test_it_draws_the_dr_lift() -> None:
    assert to_svg(frontier_chart(report(2), "dr"), "frontier") != to_svg(frontier_chart(report(2)), "frontier")


def test_labels_do_not_lie_over_each_other() -> None:
    """Three points on the front, of which two are nearly one."""
    evaluation = report(2)
    first = evaluation.frontier()[0]

    def at(point: FrontierPoint, alpha: float, lifts: tuple[float, float]) -> FrontierPoint:
        moved = {
            name: replace(lift, relative=relative, relative_interval=None)
            for (name, lift), relative in zip(point.lifts.items(), lifts, strict=True)
        }
        return replace(point, name=f"alpha={alpha}", alpha=alpha, lifts=moved, on_front=True)

    points = [at(first, 0.0, (1.0, 0.0)), at(first, 0.5, (0.99, 0.01)), at(first, 1.0, (0.0, 1.0))]
    assert [row["label"] for row in frontier_rows(points, evaluation.objectives)] == ["α 0.00", "", "α 1.00"]


def test_lifts_over_alpha_have_a_band() -> None:
    svg = to_svg(lifts_over_alpha_chart(report(2), "dr"), "band")
    assert "lift over production, %" in svg and ">objective1<" in svg
