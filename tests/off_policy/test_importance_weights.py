"""Weights and effective sizes against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.importance_weights import (
    EffectiveSizes,
    Elsewhere,
    effective_sample_size,
    evidence_of,
    importance_weights,
    positive_weights,
)
from off_policy.logged_bandit import EvaluationError, LoggedBandit
from off_policy.sampling_design import BY_ROW, SamplingDesign
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
    assert EffectiveSizes.of(even, BY_ROW).heaviest == pytest.approx(8.0)
    assert effective_sample_size(uneven) == pytest.approx(36 / 18)
    assert EffectiveSizes.of(uneven, BY_ROW).heaviest == pytest.approx(6 / 4)
    assert effective_sample_size(np.array([])) == EffectiveSizes.of(np.array([]), BY_ROW).heaviest == 0.0


def test_all_effective_sizes_at_once() -> None:
    weights, units = np.array([1.0, 1.0, 4.0, 0.0]), np.array([0, 1, 0, 2])
    by_row = EffectiveSizes.of(weights, BY_ROW)
    assert (by_row.rows, by_row.units, by_row.heaviest) == (2.0, 2.0, 1.5)
    assert by_row.freedom == pytest.approx(18**2 / 258)
    by_unit = EffectiveSizes.of(weights, SamplingDesign(units))
    assert (by_unit.rows, by_unit.heaviest) == (2.0, 1.5)
    assert by_unit.units == pytest.approx(36 / 26)
    assert by_unit.freedom == pytest.approx(26**2 / 626)
    assert EffectiveSizes.of(np.zeros(3), BY_ROW) == EffectiveSizes(0.0, 0.0, 0.0, 0.0)


def test_positive_weights_are_those_of_the_rows_where_the_policy_may_play_the_logged_arm() -> None:
    rng, n = np.random.default_rng(0), 60
    propensity, reward = rng.uniform(0.1, 1.0, n), np.zeros((n, 1))
    log = LoggedBandit(rng.integers(3, size=n), propensity, reward, reward == 0.0, ("click",))
    table = np.eye(3)[rng.integers(3, size=n)] * 0.5 + 0.5 * np.array([1.0, 0.0, 0.0])
    for policy in (TargetPolicy("arms", arms=rng.integers(3, size=n)), TargetPolicy("table", probabilities=table)):
        places, weights = positive_weights(log, policy, slice(0, n))
        expected = importance_weights(log, policy)
        np.testing.assert_array_equal(places, np.flatnonzero(expected))
        np.testing.assert_array_equal(weights, expected[places])
        assert 0 < len(places) < n
    part = slice(20, 50)
    places, weights = positive_weights(log, TargetPolicy("one", arms=np.ones(30, dtype=int)), part)
    np.testing.assert_array_equal(places, np.flatnonzero(log.action[part] == 1))
    np.testing.assert_array_equal(weights, 1.0 / propensity[part][places])
    with pytest.raises(EvaluationError, match="rows"):
        positive_weights(log, TargetPolicy("one", arms=np.ones(29, dtype=int)), part)


def test_positives_are_expected_from_the_other_rows() -> None:
    weights = np.array([2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0])
    rewards = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0])
    evidence = evidence_of(weights, rewards)
    assert (evidence.n, evidence.matched_rows, evidence.positives) == (8, 4, 4)
    assert evidence.expected_positives == pytest.approx(4 * 1 / 4)
    kept = np.arange(4)
    assert evidence_of(weights[kept], rewards[kept], elsewhere=Elsewhere.of(rewards).without(rewards[kept])) == evidence


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
