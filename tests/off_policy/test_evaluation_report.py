"""The report survives JSON and knows its frontier."""

from __future__ import annotations

import json

import numpy as np
import pytest

from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import alpha_policies, constant_policy
from tests.off_policy.bandit_worlds import PRODUCTION, lively_world

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def report(rows: int, with_model: bool = True) -> EvaluationReport:
    world = lively_world()
    plain, context = world.draw(rows, np.random.default_rng(1))
    cohort = tuple("CORE" if c == 0 else "REST" for c in context)
    log = LoggedBandit(plain.action, plain.propensity, plain.reward, plain.observed, plain.objectives, cohort)
    q = world.model(context)
    return evaluate_policies(
        log,
        alpha_policies(q, 0, ALPHAS),
        constant_policy("production", PRODUCTION, rows),
        q if with_model else None,
        EvidenceRequirements(min_matched_rows=100),
    )


@pytest.mark.parametrize(("rows", "with_model"), [(2000, True), (2000, False), (3, True)])
def test_round_trip_through_json(rows: int, with_model: bool) -> None:
    before = report(rows, with_model).as_dict()
    again = EvaluationReport.from_dict(json.loads(json.dumps(before, allow_nan=False)))
    assert again.as_dict() == before


def test_policies_are_found_by_name() -> None:
    evaluation = report(500)
    assert evaluation.report_of("alpha=0.5").alpha == 0.5
    assert evaluation.report_of("production") is evaluation.baseline
    with pytest.raises(KeyError):
        evaluation.report_of("nobody")


@pytest.mark.parametrize("estimator", ["snips", "dr"])
def test_the_frontier_runs_from_one_objective_to_the_other(estimator: str) -> None:
    frontier = report(20_000).frontier(estimator)
    assert [point.alpha for point in frontier] == list(ALPHAS)
    first, last = frontier[0], frontier[-1]
    assert first.lifts["objective0"].relative < last.lifts["objective0"].relative
    assert first.lifts["objective1"].relative > last.lifts["objective1"].relative
    assert any(point.on_front for point in frontier)
    for point in frontier:
        lossless = all(lift.relative >= 0 for lift in point.lifts.values())
        assert point.proposable == (point.on_front and lossless)


def test_the_frontier_of_a_cohort_uses_its_own_lifts() -> None:
    evaluation = report(20_000)
    overall, core = evaluation.frontier(), evaluation.frontier(cohort="CORE")
    assert overall[0].lifts["objective0"].value != core[0].lifts["objective0"].value
    assert evaluation.policies[0].scope("CORE") is evaluation.policies[0].cohorts["CORE"]


def test_no_dr_frontier_without_a_model() -> None:
    with pytest.raises(KeyError, match="no reward model"):
        report(500, with_model=False).frontier("dr")
