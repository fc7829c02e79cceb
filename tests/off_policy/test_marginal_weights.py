"""MIPS: against a count written out, IPS where no arms are alike, and a world in which its assumption holds."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy import row_distributions
from off_policy.estimates import RefusalCode
from off_policy.importance_weights import importance_weights
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import ips
from off_policy.logged_bandit import EvaluationError, LoggedBandit
from off_policy.marginal_weights import (
    SharedFeatures,
    class_shares,
    feature_classes,
    marginal_weights,
    mips,
    with_mips,
)
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.policy_evaluation import evaluate_policies
from off_policy.row_distributions import MatrixDistributions
from off_policy.target_policies import TargetPolicy, constant_policy

FEATURES = np.array([[0.0, 1.0], [2.0, 0.5], [0.0, 1.0], [2.0, 0.5], [0.0, 1.0], [7.0, 7.0]], dtype=np.float32)
"""Arms 0, 2 and 4 are alike, and so are 1 and 3."""
ALIKE = np.array([0, 1, 0, 1, 0, 2])
N, ARMS = 40, len(FEATURES)


def drawn(rng: np.random.Generator, rows: int = N) -> tuple[LoggedBandit, FloatArray]:
    """(a log with two objectives and cohorts, the distribution float[n, arms] that each row was drawn from)."""
    logging = rng.dirichlet(np.ones(ARMS), size=rows)
    action = np.array([rng.choice(ARMS, p=each) for each in logging], dtype=np.int64)
    reward = rng.random((rows, 2))
    observed = rng.random((rows, 2)) < 0.8
    cohort = np.array(["a", "b"], dtype=object)[rng.integers(2, size=rows)]
    propensity = logging[np.arange(rows), action]
    return LoggedBandit(action, propensity, reward, observed, ("first", "second"), cohort), logging


def shared(log: LoggedBandit, logging: FloatArray, classes: IntArray = ALIKE) -> SharedFeatures:
    return SharedFeatures(classes, class_shares(MatrixDistributions(logging), classes, log.action))


def counted(log: LoggedBandit, logging: FloatArray, pi: FloatArray) -> FloatArray:
    """Equation 4 of the paper, arm by arm."""
    weights = np.empty(log.rows)
    for row in range(log.rows):
        alike = [arm for arm in range(ARMS) if (FEATURES[arm] == FEATURES[log.action[row]]).all()]
        weights[row] = sum(pi[row, arm] for arm in alike) / sum(logging[row, arm] for arm in alike)
    return weights


def test_arms_with_equal_features_are_alike() -> None:
    classes = feature_classes(FEATURES)
    assert classes is not None
    assert ((classes[:, None] == classes[None, :]) == (ALIKE[:, None] == ALIKE[None, :])).all()
    assert feature_classes(FEATURES[[0, 1, 5]]) is None
    assert feature_classes(FEATURES[:0]) is None


@pytest.mark.parametrize("cells", [1, 20, row_distributions.BLOCK_CELLS])
def test_weights_equal_a_count_arm_by_arm(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", cells)
    rng = np.random.default_rng(1)
    log, logging = drawn(rng)
    pi = rng.dirichlet(np.ones(ARMS), size=N)
    found = marginal_weights(log, TargetPolicy("any", probabilities=pi), shared(log, logging))
    np.testing.assert_allclose(found, counted(log, logging, pi), rtol=1e-12)
    arms = rng.integers(ARMS, size=N)
    found = marginal_weights(log, TargetPolicy("one", arms=arms), shared(log, logging))
    np.testing.assert_allclose(found, counted(log, logging, np.eye(ARMS)[arms]), rtol=1e-12)


def test_it_is_ips_where_no_arms_are_alike() -> None:
    rng = np.random.default_rng(2)
    log, logging = drawn(rng)
    policy = TargetPolicy("any", probabilities=rng.dirichlet(np.ones(ARMS), size=N))
    weights = marginal_weights(log, policy, shared(log, logging, np.arange(ARMS)))
    np.testing.assert_allclose(weights, importance_weights(log, policy), rtol=1e-12)
    found = mips(weights, log.reward[:, 0])
    expected = ips(weights, log.reward[:, 0], EvidenceRequirements())
    assert (found.value, found.standard_error) == (expected.value, expected.standard_error)
    assert found.refusal is not None
    assert found.refusal.code is RefusalCode.BIASED_ESTIMATOR
    assert not found.gateable


def test_it_is_unbiased_and_more_precise_where_rewards_depend_on_the_features_alone() -> None:
    rng = np.random.default_rng(3)
    classes = np.arange(40) % 4
    rates = np.array([0.1, 0.2, 0.3, 0.4])
    policy = constant_policy("one", 3, 400)
    values = []
    for _ in range(400):
        action = rng.integers(40, size=400)
        reward = (rng.random(400) < rates[classes[action]]).astype(float)[:, None]
        log = LoggedBandit(action, np.full(400, 1 / 40), reward, np.ones((400, 1), dtype=bool), ("click",))
        weights = marginal_weights(log, policy, SharedFeatures(classes, np.full(400, 0.25)))
        plain = (importance_weights(log, policy) * reward[:, 0]).mean()
        values.append((mips(weights, reward[:, 0]).value, plain))
    marginal, plain = np.array(values).T
    error = marginal.std() / np.sqrt(len(values))
    assert abs(marginal.mean() - 0.4) < 4 * error
    assert marginal.std() < 0.4 * plain.std()  # √(1/10) by theory


def test_a_report_gets_it_for_every_policy_objective_and_cohort() -> None:
    rng = np.random.default_rng(4)
    log, logging = drawn(rng)
    policies = [constant_policy("two", 2, N), TargetPolicy("any", probabilities=rng.dirichlet(np.ones(ARMS), size=N))]
    baseline, requirements = constant_policy("base", 0, N), EvidenceRequirements()
    report = evaluate_policies(log, policies, baseline, None, requirements)
    found = with_mips(report, log, policies, baseline, shared(log, logging))
    weights = counted(log, logging, np.eye(ARMS)[np.full(N, 2)])
    rows = log.cohort_rows("b") & log.observed[:, 1]
    estimate = found.report_of("two").cohorts["b"]["second"].estimates["mips"]
    assert estimate.value == pytest.approx((weights * log.reward[:, 1])[rows].mean(), rel=1e-12)
    assert estimate.n == rows.sum()
    assert "mips" in found.baseline.objectives["first"].estimates
    alike = found.baseline.objectives["first"].estimates["mips"]
    assert found.report_of("two").objectives["first"].estimates["mips"].value == alike.value  # arms 0 and 2 are alike
    assert with_mips(report, log, policies, baseline, None) is report


def test_an_empty_log_has_no_value() -> None:
    estimate = mips(np.empty(0), np.empty(0))
    assert np.isnan(estimate.value)
    assert estimate.interval is None


def test_shares_of_other_rows_are_refused() -> None:
    log, logging = drawn(np.random.default_rng(5))
    with pytest.raises(EvaluationError, match="shares of like arms"):
        marginal_weights(log, constant_policy("one", 1, N), SharedFeatures(ALIKE, np.ones(N - 1)))
    assert logging.shape == (N, ARMS)
