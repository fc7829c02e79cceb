"""The sums give the ridge regression of the rows themselves, and cross-validation tells what matters from noise."""

import numpy as np
import pytest
from numpy.typing import NDArray

from learner.network.ridge_fit import PENALTIES, ArmDesign, RowSums, best_ridge, chosen_penalties, equal_columns

ROWS, ARMS, COLUMNS = 600, 4, 3
FEATURES = np.array([[1, -1.0], [1, -0.5], [1, 0.5], [1, 1.0]])


def design(effects: bool = True) -> ArmDesign:
    """Groups: the state's 0, the arm's 1, both 2."""
    first, second = np.divmod(np.arange(2 * COLUMNS), COLUMNS)
    groups = np.where(first == 0, 0, np.where(second == 0, 1, 2))
    return ArmDesign(FEATURES, first, second, effects, np.append(groups, [1] * (ARMS if effects else 0)))


def drawn(seed: int, rows: int = ROWS) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    columns = np.concatenate([np.ones((rows, 1)), rng.normal(size=(rows, COLUMNS - 1))], axis=1)
    return columns, rng.integers(ARMS, size=rows)


def plain(columns: NDArray[np.float64], arms: NDArray[np.int64], effects: bool) -> NDArray[np.float64]:
    """The design row by row."""
    crossed = np.stack([np.kron(FEATURES[arm], row) for arm, row in zip(arms, columns, strict=True)])
    return np.concatenate([crossed, np.eye(ARMS)[arms]], axis=1) if effects else crossed


@pytest.mark.parametrize("effects", [True, False])
def test_the_fit_is_that_of_the_rows(effects: bool) -> None:
    columns, arms = drawn(1)
    rewards = np.random.default_rng(2).normal(size=(ROWS, 2))
    sums = RowSums.of(columns, arms, rewards, design(effects))
    x = plain(columns, arms, effects)
    penalty = np.where(design(effects).groups == 2, 0.3, 0.01)
    weight = penalty * ROWS
    weight[0] = 0.0
    wanted = np.linalg.solve(x.T @ x + np.diag(weight), x.T @ rewards)
    found = sums.ridge(penalty)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    np.testing.assert_allclose(sums.losses(found), np.square(rewards - x @ found).mean(axis=0), atol=1e-9)


def test_sums_of_parts_are_those_of_the_whole() -> None:
    columns, arms = drawn(3)
    rewards = columns[:, 1:2]
    whole = RowSums.of(columns, arms, rewards, design())
    first, second = (
        RowSums.of(columns[part], arms[part], rewards[part], design()) for part in (slice(200), slice(200, ROWS))
    )
    for found in (first.plus(second), whole.plus(first).without(first)):
        assert found.rows == ROWS
        np.testing.assert_allclose(found.squares, whole.squares, atol=1e-9)
        np.testing.assert_allclose(found.products, whole.products, atol=1e-9)
        np.testing.assert_allclose(found.rewards, whole.rewards, atol=1e-9)


def test_each_group_and_objective_has_the_penalty_that_predicts_best() -> None:
    """The first objective depends on the state alone, the second on state × arm alone."""
    rng, folds = np.random.default_rng(4), []
    for seed in range(5):
        columns, arms = drawn(10 + seed)
        truth = np.stack([columns[:, 1], columns[:, 1] * FEATURES[arms, 1]], axis=1)
        folds.append(RowSums.of(columns, arms, truth + rng.normal(size=(ROWS, 2)), design()))
    penalties = chosen_penalties(folds, design().groups)
    assert penalties.shape == (3, 2)
    assert penalties[0, 0] < 0.1 < penalties[2, 0]
    assert penalties[2, 1] < 0.1 < penalties[0, 1]
    coefficients, losses = best_ridge(folds, design().groups)
    np.testing.assert_allclose(coefficients[1, 0], 1.0, atol=0.05)
    np.testing.assert_allclose(coefficients[COLUMNS + 1, 1], 1.0, atol=0.05)
    np.testing.assert_allclose(losses, 1.0, atol=0.1)


def test_without_rows_to_validate_on_nothing_is_believed() -> None:
    columns, arms = drawn(5)
    one = RowSums.of(columns, arms, columns[:, 1:], design())
    none = RowSums.of(columns[:0], arms[:0], columns[:0, 1:], design())
    assert (chosen_penalties([one, none], design().groups) == PENALTIES[-1]).all()
    coefficients, losses = best_ridge([none, none], design().groups)
    assert (coefficients == 0).all() and (losses == 0).all()


def test_equal_columns_are_found_together() -> None:
    table = np.array([[1.0, 2.0, 1.0], [3.0, 3.0, 3.0]])
    assert sorted(equal_columns(table)) == [[0, 2], [1]]
