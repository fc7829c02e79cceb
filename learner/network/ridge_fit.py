"""Ridge regression of rewards on state columns × arm features, from sums over rows (Hoerl and Kennard, 1970).

The design of a row with arm a and state columns z has an entry φ_j(a) · z_p for each of some places (j, p), then an
indicator of each arm. All sums of squares follow from those of z within each arm, so few passes over rows are needed:

    Σ_i x_i x_iᵀ = Σ_a (φ_a φ_aᵀ)[j, j'] · (Σ_{i: a_i = a} z_i z_iᵀ)[p, p'].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

PENALTIES = tuple(float(each) for each in 10.0 ** np.arange(-3.0, 1.6, 0.75))
"""What is tried, per row: each column has deviation 1 over the training rows, or over the arms."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ArmDesign:
    """Where the coefficients of an objective are.

    `features` float64[arms, 1 + k], φ with a constant first; `arm_columns` and `state_columns` int64[m], the places
    (j, p), of which the first is the constant's (0, 0); `effects`: whether each arm has an indicator; `groups`
    int64[w], the coefficients that share a penalty, w = m + arms with `effects`, else m.
    """

    features: Floats
    arm_columns: NDArray[np.int64]
    state_columns: NDArray[np.int64]
    effects: bool
    groups: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RowSums:
    """Sums over rows: their number, x xᵀ [w, w], x rᵀ [w, objectives] and r² [objectives]."""

    rows: int
    squares: Floats
    products: Floats
    rewards: Floats

    @classmethod
    def of(cls, columns: Floats, arms: NDArray[np.int64], rewards: Floats, design: ArmDesign) -> Self:
        """The sums of rows with state `columns` [n, p] (a constant first), `arms` [n], `rewards` [n, objectives]."""
        size, places, crossed = len(design.groups), design.state_columns, len(design.state_columns)
        squares, products = np.zeros((size, size)), np.zeros((size, rewards.shape[1]))
        order = np.argsort(arms, kind="stable")
        present, starts = np.unique(arms[order], return_index=True)
        for arm, rows in zip(present.tolist(), np.split(order, starts)[1:], strict=True):
            own, reward, phi = columns[rows], rewards[rows], design.features[arm][design.arm_columns]
            square = (own.T @ own)[np.ix_(places, places)]
            square *= phi
            square *= phi[:, None]
            squares[:crossed, :crossed] += square
            products[:crossed] += phi[:, None] * (own.T @ reward)[places]
            if design.effects:
                column = phi * own.sum(axis=0)[places]
                squares[crossed + arm, :crossed] = column
                squares[:crossed, crossed + arm] = column
                squares[crossed + arm, crossed + arm] = len(rows)
                products[crossed + arm] = reward.sum(axis=0)
        return cls(len(arms), squares, products, np.square(rewards).sum(axis=0))

    def plus(self, other: Self) -> Self:
        """The sums over both."""
        return type(self)(
            self.rows + other.rows,
            self.squares + other.squares,
            self.products + other.products,
            self.rewards + other.rewards,
        )

    def without(self, other: Self) -> Self:
        """The sums over these rows apart from the others, which are among them."""
        return type(self)(
            self.rows - other.rows,
            self.squares - other.squares,
            self.products - other.products,
            self.rewards - other.rewards,
        )

    def ridge(self, penalty: Floats) -> Floats:
        """float64[w, objectives]: argmin Σ (r − xβ)² + rows · Σ penalty · β², without the first β, the constant's.

        `penalty` is float64[w], above 0.
        """
        penalised = self.squares.copy()
        penalised[np.diag_indices_from(penalised)] += penalty * max(self.rows, 1)
        penalised[0, 0] = max(float(self.squares[0, 0]), 1.0)
        found: Floats = cho_solve(cho_factor(penalised, lower=True, overwrite_a=True), self.products)
        return found

    def losses(self, coefficients: Floats) -> Floats:
        """float64[objectives]: mean of (r − xβ)² over the rows, 0 without rows; `coefficients` [w, objectives]."""
        fitted = (coefficients * (self.squares @ coefficients - 2 * self.products)).sum(axis=0)
        means: Floats = np.maximum(self.rewards + fitted, 0.0) / max(self.rows, 1)
        return means


def best_ridge(folds: Sequence[RowSums], groups: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(coefficients [w, objectives], losses [objectives]) of all rows, under the penalties that cross-validation chose.

    There is at least one fold; `groups` are those of the design.
    """
    together, penalties = reduce(RowSums.plus, folds), chosen_penalties(folds, groups)
    found = np.zeros_like(together.products)
    for which in equal_columns(penalties):
        found[:, which] = together.ridge(penalties[groups, which[0]])[:, which]
    return found, together.losses(found)


def chosen_penalties(folds: Sequence[RowSums], groups: NDArray[np.int64]) -> Floats:
    """float64[groups, objectives]: for each group of coefficients the penalty with the least loss in cross-validation.

    One group is searched after the other; those after it have the largest penalty meanwhile. With fewer than two folds
    that have rows, all have it.
    """
    together = reduce(RowSums.plus, folds)
    chosen = np.full((int(groups.max()) + 1, len(together.rewards)), PENALTIES[-1])
    rests = [(together.without(fold), fold) for fold in folds if fold.rows]
    for group in range(len(chosen) if len(rests) > 1 else 0):
        for which in equal_columns(chosen):
            penalty, losses = chosen[:, which[0]].copy(), np.zeros((len(PENALTIES), len(which)))
            for place, tried in enumerate(PENALTIES):
                penalty[group] = tried
                for rest, fold in rests:
                    losses[place] += fold.rows * fold.losses(rest.ridge(penalty[groups]))[which]
            chosen[group, which] = np.array(PENALTIES)[losses.argmin(axis=0)]
    return chosen


def equal_columns(table: Floats) -> list[list[int]]:
    """The numbers of the columns of `table`, those of equal columns together."""
    which = np.unique(table, axis=1, return_inverse=True)[1].reshape(-1)
    return [np.flatnonzero(which == number).tolist() for number in range(int(which.max()) + 1)]
