"""Policies: weights against the log, expectations under a model, families over alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from off_policy import row_distributions
from off_policy.logged_bandit import EvaluationError
from off_policy.row_distributions import SharedDistributions
from off_policy.target_policies import (
    TargetPolicy,
    alpha_policies,
    by_position,
    constant_policy,
    preference_policy,
    uniform_policy,
    values_of,
)

ACTION = np.array([0, 1, 2, 1])
DETERMINISTIC = TargetPolicy("d", arms=np.array([0, 2, 2, 1]))
STOCHASTIC = TargetPolicy("s", probabilities=np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0, 0, 1], [0.1, 0.8, 0.1]]))


def test_probability_of_the_logged_arm() -> None:
    assert DETERMINISTIC.probability_of(ACTION).tolist() == [1, 0, 1, 1]
    assert STOCHASTIC.probability_of(ACTION).tolist() == [0.2, 0, 1, 0.8]


def test_expectation_agrees_between_both_forms() -> None:
    q = np.random.default_rng(0).random((4, 3, 2))
    arms = np.array([0, 2, 2, 1])
    twin = TargetPolicy("one-hot", probabilities=np.eye(3)[arms])
    np.testing.assert_allclose(TargetPolicy("d", arms=arms).expected(q), twin.expected(q))
    np.testing.assert_allclose(STOCHASTIC.expected(q)[0], 0.2 * q[0, 0] + 0.3 * q[0, 1] + 0.5 * q[0, 2], rtol=1e-12)


def test_agreement_and_identity() -> None:
    twin = TargetPolicy("one-hot", probabilities=np.eye(3)[[0, 2, 2, 1]])
    assert DETERMINISTIC.agreement(DETERMINISTIC) == 1.0
    assert DETERMINISTIC.agreement(STOCHASTIC) == pytest.approx((0.2 + 0 + 1 + 0.8) / 4)
    assert STOCHASTIC.agreement(DETERMINISTIC) == DETERMINISTIC.agreement(STOCHASTIC)
    assert STOCHASTIC.agreement(STOCHASTIC) == pytest.approx(1.0)
    assert DETERMINISTIC.same_as(twin)
    assert twin.same_as(DETERMINISTIC)
    assert STOCHASTIC.same_as(STOCHASTIC)
    assert not DETERMINISTIC.same_as(STOCHASTIC)
    assert not DETERMINISTIC.same_as(constant_policy("c", 0, 4))


def test_totals_of_the_arms() -> None:
    assert constant_policy("c", 1, 4).arm_totals().tolist() == [0.0, 4.0]
    assert DETERMINISTIC.arm_totals().max() == 0.5 * DETERMINISTIC.rows
    np.testing.assert_allclose(uniform_policy("u", 4, 5).arm_totals(), 0.8)
    assert constant_policy("c", 1, 0).arm_totals().sum() == 0.0


def test_policies_by_position() -> None:
    table = np.array([[0.9, 0.5], [0.1, 0.5]])
    policy = by_position("bts", table, np.array([1, 0]))
    assert policy.probability_of(np.array([0, 1])).tolist() == [0.5, 0.1]
    with pytest.raises(EvaluationError, match="positions 0 to 1"):
        by_position("bts", table, np.array([1, 2]))


def test_alpha_multiplies_the_declared_objective() -> None:
    q = np.array([[[1.0, 0.0], [0.0, 1.0], [0.6, 0.6]]])
    arms = [int(policy.arms[0]) for policy in alpha_policies(q, 1, [0.0, 0.5, 1.0]) if policy.arms is not None]
    assert arms == [0, 2, 1]
    mirrored = alpha_policies(q, 0, [0.0, 1.0])
    assert [policy.arms[0] for policy in mirrored if policy.arms is not None] == [1, 0]
    assert [policy.alpha for policy in mirrored] == [0.0, 1.0]


def test_one_objective_needs_no_alpha() -> None:
    q = np.array([[[0.1], [0.3]]])
    assert all(policy.arms is not None and policy.arms[0] == 1 for policy in alpha_policies(q, 0, [0.0, 1.0]))


def test_only_eligible_arms_are_played() -> None:
    q = np.array([[[0.1], [0.3], [0.2]]])
    policy = preference_policy("p", q, [1.0], eligible=np.array([[True, False, True]]))
    assert policy.arms is not None
    assert policy.arms.tolist() == [2]
    with pytest.raises(EvaluationError, match="row 0 has no eligible arm"):
        preference_policy("p", q, [1.0], eligible=np.zeros((1, 3), dtype=bool))


def test_misuse_is_refused() -> None:
    q = np.zeros((1, 2, 3))
    with pytest.raises(EvaluationError, match="needs arms or probabilities"):
        TargetPolicy("none")
    with pytest.raises(EvaluationError, match="needs arms or probabilities"):
        TargetPolicy("both", probabilities=np.eye(2), arms=np.array([0, 1]))
    with pytest.raises(EvaluationError, match="sum to"):
        TargetPolicy("short", probabilities=np.array([[0.5, 0.4]]))
    with pytest.raises(EvaluationError, match="negative"):
        TargetPolicy("negative", probabilities=np.array([[1.5, -0.5]]))
    with pytest.raises(EvaluationError, match="axes"):
        TargetPolicy("flat", probabilities=np.array([0.5, 0.5]))
    with pytest.raises(EvaluationError, match="does not fit 3 objectives"):
        alpha_policies(q, 0, [0.5])
    with pytest.raises(EvaluationError, match="outside"):
        alpha_policies(q[:, :, :2], 0, [1.5])
    with pytest.raises(EvaluationError, match="arm 5"):
        STOCHASTIC.probability_of(np.array([0, 1, 5, 0]))
    with pytest.raises(EvaluationError, match="plays arm 2"):
        DETERMINISTIC.expected(np.zeros((4, 2, 1)))


@pytest.mark.parametrize(
    ("arms", "part"),
    [
        (np.array([0, -1]), "plays arm -1"),
        (np.array([0.0, 0.7]), "type float64"),
        (np.array([[0], [1]]), "shape (2, 1)"),
    ],
)
def test_arms_that_would_be_read_as_others_are_refused(arms: np.ndarray[Any, Any], part: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        TargetPolicy("odd", arms=arms)
    assert part in caught.value.what


def test_without_a_row_no_two_policies_are_the_same() -> None:
    """Their lift would be exactly zero and gateable, without any evidence."""
    assert not constant_policy("a", 0, 0).same_as(constant_policy("b", 0, 0))
    assert not uniform_policy("a", 0, 3).same_as(uniform_policy("b", 0, 3))


@pytest.mark.parametrize(("q", "weight"), [(np.nan, 1.0), (0.5, np.nan), (np.inf, 1.0)])
def test_a_score_that_is_not_finite_chooses_nothing(q: float, weight: float) -> None:
    predictions = np.full((2, 3, 1), 0.5)
    predictions[1, 2, 0] = q
    with pytest.raises(EvaluationError, match="score of row"):
        preference_policy("p", predictions, [weight])


@pytest.mark.parametrize("cells", [1, 7, row_distributions.BLOCK_CELLS])
def test_rows_that_share_a_distribution_are_evaluated_as_a_matrix_is(
    cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", cells)
    rng = np.random.default_rng(3)
    table, group, action = rng.dirichlet(np.ones(5), size=3), rng.integers(3, size=40), rng.integers(5, size=40)
    q, arms = rng.random((40, 5, 2)), rng.integers(5, size=40)
    shared = TargetPolicy("s", probabilities=SharedDistributions.of_table(table, group))
    matrix, fixed = TargetPolicy("m", probabilities=table[group]), TargetPolicy("f", arms=arms)
    np.testing.assert_array_equal(shared.probability_of(action), table[group, action])
    np.testing.assert_allclose(shared.expected(q), np.einsum("na,nao->no", table[group], q), rtol=1e-13)
    for policy in (shared, fixed):
        np.testing.assert_array_equal(policy.expected(q[11:17], slice(11, 17)), policy.expected(q)[11:17])
    np.testing.assert_allclose(shared.arm_totals(), table[group].sum(axis=0), rtol=1e-13)
    turned = TargetPolicy("t", probabilities=SharedDistributions.of_table(table[:, ::-1], group))
    overlap = np.minimum(table, table[:, ::-1]).sum(axis=1)[group].mean()
    assert shared.agreement(turned) == pytest.approx(overlap, rel=1e-13)
    assert shared.agreement(fixed) == fixed.agreement(shared) == pytest.approx(table[group, arms].mean())
    assert shared.same_as(matrix)
    assert not shared.same_as(turned)


def test_a_shared_row_that_is_no_distribution_is_named() -> None:
    table = np.array([[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(EvaluationError, match="probabilities of row 2 sum"):
        TargetPolicy("short", probabilities=SharedDistributions.of_table(table, np.array([0, 0, 1, 1])))


@pytest.mark.parametrize("cells", [1, 7, row_distributions.BLOCK_CELLS])
def test_choices_do_not_depend_on_the_blocks(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_distributions, "BLOCK_CELLS", cells)
    rng = np.random.default_rng(4)
    q, eligible = rng.integers(0, 4, (30, 6, 2)) / 10, rng.random((30, 6)) < 0.5
    eligible[:, 5] = True
    score = 0.25 * q[:, :, 0] + 0.75 * q[:, :, 1]
    for allowed in (None, eligible):
        policy = preference_policy("p", q, [0.25, 0.75], allowed)
        best = np.where(True if allowed is None else allowed, score, -np.inf).argmax(axis=1)
        np.testing.assert_array_equal(policy.arms, best)
    eligible[9] = False
    with pytest.raises(EvaluationError, match="row 9 has no eligible arm"):
        preference_policy("p", q, [0.25, 0.75], eligible)
    q[8, 2, 1] = np.nan
    with pytest.raises(EvaluationError, match="score of row 8"):
        preference_policy("p", q, [0.25, 0.75])


def test_large_values_are_scored_unless_their_sum_is_infinite() -> None:
    q = np.array([[[1.5e308] * 2] * 3] * 2)
    q[1, 2] = 1.6e308
    assert preference_policy("p", q, [0.5, 0.5]).arms is not None
    np.testing.assert_array_equal(preference_policy("p", q, [0.5, 0.5]).arms, [0, 2])
    with pytest.raises(EvaluationError, match="score of row 0"):
        preference_policy("p", q, [1.0, 1.0])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_values_of_chosen_arms_do_not_depend_on_the_memory_layout(kind: type) -> None:
    rng = np.random.default_rng(1)
    q: np.ndarray = rng.random((9, 4, 2)).astype(kind)
    arms = rng.integers(4, size=9)
    expected = q[np.arange(9), arms].astype(np.float64)
    for layout in (q, np.asfortranarray(q), q[::-1][::-1]):
        np.testing.assert_array_equal(values_of(layout, arms), expected)
