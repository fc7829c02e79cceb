"""The level of each interval of a family, by hand, and that a band covers what it promises."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtri

from off_policy.intervals import EvidenceRequirements
from off_policy.policy_evaluation import PredictedPolicy, evaluate_predicted
from off_policy.simultaneous_level import lift_influences, simultaneous_level
from off_policy.target_policies import alpha_policies, constant_policy
from tests.off_policy.bandit_worlds import PRODUCTION, lively_world


def test_independent_lifts_need_nearly_bonferroni() -> None:
    """The largest of 10 independent |N(0, 1)| is below c with probability (2 Φ(c) − 1)^10."""
    found = simultaneous_level(np.eye(10), 0.95, np.random.default_rng(1))
    assert found.critical == pytest.approx(ndtri(0.5 + 0.95**0.1 / 2), abs=0.03)
    assert found.bonferroni == pytest.approx(ndtri(1 - 0.025 / 10), rel=1e-12)
    assert found.lifts == 10
    assert found.each == pytest.approx(0.95**0.1, abs=1e-3)


def test_lifts_that_are_one_need_no_more_than_one_interval() -> None:
    same = np.tile(np.random.default_rng(2).normal(size=(40, 1)), (1, 8))
    found = simultaneous_level(same, 0.95, np.random.default_rng(1))
    assert found.critical == pytest.approx(1.96, abs=0.03)
    assert found.each == pytest.approx(0.95, abs=3e-3)


def test_lifts_that_do_not_vary_are_left_out() -> None:
    influences = np.array([[1.0, 0.0, np.nan], [-1.0, 0.0, np.nan]])
    assert simultaneous_level(influences, 0.9, np.random.default_rng(1)).lifts == 1
    nothing = simultaneous_level(np.zeros((5, 3)), 0.9, np.random.default_rng(1))
    assert (nothing.lifts, nothing.each) == (0, 0.9)


@pytest.mark.parametrize("modelled", [True, False])
@pytest.mark.parametrize("cohort", [None, "a"])
def test_influences_have_the_standard_errors_of_the_lifts(modelled: bool, cohort: str | None) -> None:
    """Of every α and objective, by user, over all rows and inside a cohort."""
    world, rows = lively_world(2), 3000
    log, context = world.draw(rows, np.random.default_rng(1))
    q = world.model(context)
    names = np.where(np.arange(rows) % 3 == 0, "a", "b").astype(object)
    log = replace(log, units=np.arange(rows) // 4, cohort=names)
    base = constant_policy("production", PRODUCTION, rows)
    family = alpha_policies(q, 0, [0.0, 0.4, 1.0])
    predicted = [PredictedPolicy(each, each.expected(q) if modelled else None) for each in [base, *family]]
    q_logged = q[np.arange(rows), log.action] if modelled else None
    report = evaluate_predicted(log, predicted[1:], predicted[0], q_logged, EvidenceRequirements())
    inside = None if cohort is None else log.cohort_rows(cohort)
    influences = lift_influences(log, predicted[1:], predicted[0], q_logged, inside)
    errors = np.sqrt(np.square(influences).sum(axis=0)).reshape(3, 2)
    scopes = [policy.scope(cohort) for policy in report.policies]
    wanted = [[scope[name].judged_lift.relative_standard_error for name in log.objectives] for scope in scopes]
    np.testing.assert_allclose(errors, wanted, rtol=1e-3)
