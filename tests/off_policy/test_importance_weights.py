"""Weights and effective sizes against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.importance_weights import (
    Elsewhere,
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


def test_positives_are_expected_from_the_other_rows() -> None:
    weights = np.array([2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    rewards = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    evidence = evidence_of(weights, rewards)
    assert (evidence.n, evidence.matched_rows, evidence.positives) == (8, 4, 4)
    assert evidence.expected_positives == pytest.approx(4 * 1 / 4)
    kept = np.arange(4)
    assert evidence_of(weights[kept], rewards[kept], elsewhere=Elsewhere.besides(rewards, kept)) == evidence


def test_rows_elsewhere_count_only_if_they_are_as_many() -> None:
    few = evidence_of(np.ones(4), np.array([1.0, 1.0, 0.0, 0.0]), elsewhere=Elsewhere(2, 0))
    assert few.n == 6
    assert few.expected_positives == pytest.approx(4 * 2 / 6)
    assert evidence_of(np.ones(4), np.zeros(4), elsewhere=Elsewhere(4, 1)).expected_positives == 1.0


def test_where_every_row_has_a_weight_the_whole_log_says_what_to_expect() -> None:
    evidence = evidence_of(np.array([100.0, 0.1, 0.1, 0.1]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert evidence.positives == 3
    assert evidence.expected_positives == pytest.approx(0.75 * evidence.ess)
    assert evidence.ess == pytest.approx(1.0, abs=0.01)


def test_effective_sizes_do_not_depend_on_the_scale_of_the_weights() -> None:
    weights = np.array([1.0, 2.0, 3.0])
    assert effective_sample_size(weights * 1e200) == pytest.approx(effective_sample_size(weights))
    assert effective_sample_size(weights * 1e-200) == pytest.approx(effective_sample_size(weights))
