"""Whether the weights that an Action says it applied are those of its arm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RELATIVE = 1e-5
"""Weights with the six digits of an arm's name still match."""
ABSOLUTE = 1e-6
"""As a share of the largest weight of that name: a grid that was computed in 32-bit floats still matches."""
SHARE_OF_STEP = 0.5
"""Never more than this of the smallest step between two values: no other arm's weights match."""


class ArmWeights:
    """The weights of every arm: float64[arms, weights], [arms, 0] for a catalogue."""

    def __init__(self, table: NDArray[np.float64]) -> None:
        self._table = table
        noise = ABSOLUTE * np.nanmax(np.abs(table), axis=0)
        self._allowed = np.minimum(RELATIVE * np.abs(table) + noise, SHARE_OF_STEP * _smallest_steps(table, noise))

    @property
    def width(self) -> int:
        """How many weights an arm has."""
        return int(self._table.shape[1])

    def of(self, arm: int) -> list[float]:
        """The weights of one arm."""
        weights: list[float] = self._table[arm].tolist()
        return weights

    def match(self, arms: NDArray[np.int64], given: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows of `given` [rows, weights] are the weights of their arm, one of those of the table."""
        matching: NDArray[np.bool_] = (np.abs(given - self._table[arms]) <= self._allowed[arms]).all(axis=1)
        return matching


def _smallest_steps(table: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each weight the smallest difference between two values that is more than noise."""
    steps = [np.diff(np.unique(column)) for column in table.T]
    return np.array([each[each > least].min(initial=np.inf) for each, least in zip(steps, noise, strict=True)])
