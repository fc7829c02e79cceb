"""Estimates as rows and as SVG."""

from __future__ import annotations

import numpy as np

from off_policy.estimates_chart import DECIDES, NONE, STATED, estimate_rows, estimates_chart, value_domain
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.policy_evaluation import evaluate_policies
from off_policy.svg_rendering import to_svg
from off_policy.target_policies import constant_policy


def report(rows: int) -> EvaluationReport:
    rng = np.random.default_rng(9)
    action = rng.integers(4, size=rows)
    reward = (rng.random((rows, 1)) < 0.2).astype(float)
    log = LoggedBandit(action, np.full(rows, 0.25), reward, np.ones((rows, 1), dtype=bool), ("click",))
    policies = [constant_policy("ours", 1, rows), constant_policy("production", 0, rows)]
    q = np.full((rows, 4, 1), 0.2)
    return evaluate_policies(log, policies, policies[1], q, EvidenceRequirements())


def test_rows_say_what_an_interval_is_good_for() -> None:
    plenty = {row["line"]: row for row in estimate_rows(report(4000).policies, "click")}
    assert plenty["ours · snips"]["standing"] == DECIDES
    assert plenty["ours · dm"]["standing"] == NONE
    assert plenty["ours · dm"]["low"] is None
    scarce = {row["line"]: row for row in estimate_rows(report(80).policies, "click")}
    assert scarce["ours · reward_at_hit"]["standing"] == STATED
    assert scarce["ours · snips"]["standing"] == NONE


def test_undefined_values_are_left_out() -> None:
    assert [row["line"] for row in estimate_rows(report(0).policies, "click")] == []


def test_the_axis_holds_every_bound_and_zero() -> None:
    rows = estimate_rows(report(4000).policies, "click")
    low, high = value_domain(rows)
    assert low == 0.0
    assert high > max(row["high"] or 0 for row in rows)
    assert value_domain([]) == [0.0, 1.0 + 1.0 / 3.0]


def test_it_draws_the_baseline_once_and_first() -> None:
    svg = to_svg(estimates_chart(report(4000), "click"), "estimates")
    assert svg.count(">production · snips<") == 1
    assert svg.index("production · snips") < svg.index("ours · snips")
    picked = to_svg(estimates_chart(report(4000), "click", policies=["ours"], estimators=["dr"]), "estimates")
    assert "ours · dr" in picked
    assert "production" not in picked
