"""Weights and effective sizes against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.importance_weights import (
    effective_sample_size,
    effective_sample_size_inf,
    evidence_of,
    importance_weights,
)
from off_policy.logged_bandit import EvaluationError, LoggedBandit
from off_policy.target_policies import TargetPolicy


def test_weights_are_target_over_logging() -> None:
    log = LoggedBandit(
        np.array([0, 1]), np.array([0.5, 0.1]), np.zeros((2, 1)), np.ones((2, 1), dtype=bool), ("click",)
    )
    target = TargetPolicy("t", probabilities=np.array([[0.25, 0.75], [0.25, 0.75]]))
    np.testing.assert_allclose(importance_weights(log, target), [0.5, 7.5])
    with pytest.raises(EvaluationError, match="rows"):
        importance_weights(log, TargetPolicy("t", arms=np.array([0])))


def test_effective_sizes() -> None:
    even, uneven = np.full(8, 3.0), np.array([1.0, 1.0, 4.0])
    assert effective_sample_size(even) == pytest.approx(8.0)
    assert effective_sample_size_inf(even) == pytest.approx(8.0)
    assert effective_sample_size(uneven) == pytest.approx(36 / 18)
    assert effective_sample_size_inf(uneven) == pytest.approx(6 / 4)
    assert effective_sample_size(np.array([])) == effective_sample_size_inf(np.array([])) == 0.0


def test_even_weights_count_positives_one_by_one() -> None:
    evidence = evidence_of(np.array([2.0, 2.0, 2.0, 0.0, 2.0]), np.array([1.0, 0.0, 1.0, 1.0, 0.0]))
    assert (evidence.n, evidence.matched_rows, evidence.positives) == (5, 4, 2)
    assert evidence.effective_positives == pytest.approx(2.0)
    assert evidence.effective_negatives == pytest.approx(2.0)


def test_one_heavy_positive_is_worth_one() -> None:
    evidence = evidence_of(np.array([100.0, 0.1, 0.1, 0.1]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert evidence.positives == 3
    assert evidence.effective_positives == pytest.approx(1.0, abs=0.01)


def test_constant_rewards_leave_no_negatives() -> None:
    assert evidence_of(np.ones(50), np.ones(50)).effective_negatives == 0.0


def test_effective_sizes_do_not_depend_on_the_scale_of_the_weights() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    assert effective_sample_size(weights * 1e200) == pytest.approx(effective_sample_size(weights))
    assert effective_sample_size(weights * 1e-200) == pytest.approx(effective_sample_size(weights))
