"""Deciles of predicted gain, and the lift in each, by hand."""

import numpy as np
import pytest

from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import LoggedBandit
from off_policy.policy_evaluation import PredictedPolicy
from off_policy.target_policies import constant_policy
from off_policy.uplift_deciles import DECILES, deciles_of, uplift_deciles

ROWS = 400


def test_the_lift_of_each_decile_is_its_difference_of_means() -> None:
    """Arm 1 earns the decile's number / 10 more than arm 0, and the model says so."""
    action = np.tile([0, 1], ROWS // 2)
    decile = np.repeat(np.arange(DECILES), ROWS // DECILES)
    reward = np.where(action == 1, 0.1 * decile, 0.0)[:, None] + 0.5
    observed = np.ones((ROWS, 1), dtype=bool)
    log = LoggedBandit(action, np.full(ROWS, 0.5), reward, observed, ("repin",))
    gain = 0.1 * decile[:, None]
    ours = PredictedPolicy(constant_policy("one", 1, ROWS), (0.5 + gain).astype(np.float64))
    base = PredictedPolicy(constant_policy("production", 0, ROWS), np.full((ROWS, 1), 0.5))
    found = uplift_deciles(log, ours, base, "repin", EvidenceRequirements(min_matched_rows=10, min_positives=2))
    assert [each.rows for each in found] == [ROWS // DECILES] * DECILES
    assert [each.predicted for each in found] == pytest.approx([0.1 * number for number in range(DECILES)])
    assert [each.lift.value for each in found] == pytest.approx([0.1 * number for number in range(DECILES)])
    assert {each.lift.estimator for each in found} == {"snips"}
    assert found[3].as_dict()["lift"]["matched_rows"] == 20


def test_rows_that_were_not_observed_are_in_no_decile() -> None:
    values = np.array([3.0, 1.0, 2.0, 9.0])
    assert deciles_of(values, np.array([0, 1, 2])).tolist() == [2, 0, 1, -1]
