"""A quadratic model of rewards over the weights of a box: the reward model of doubly robust estimates there.

Response surfaces of second order are the standard local model of designed experiments (Box and Wilson 1951). The model
need not be right: importance weights correct it, and the better it is, the narrower the intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from off_policy.box_log import BoxLog
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray

FOLDS = 5
RIDGE = 1e-3
"""Added to the sums of squares, in rows: it decides only where the log has hardly any."""


@dataclass(frozen=True, slots=True, eq=False)
class ResponseSurface:
    """One surface for each fold of the units, fitted on the other folds, so that no row is predicted by itself.

    fold          int[n]: the fold of each row of the log
    coefficients  float[folds, F, O] of 1, the W weights and their W (W + 1) / 2 products
    """

    fold: IntArray
    coefficients: FloatArray

    @classmethod
    def of(cls, log: BoxLog) -> Self:
        """Least squares for each objective over the rows in which it was observed."""
        decisions, terms = log.decisions, _terms(log.served_vectors)
        units = np.arange(log.rows) if decisions.units is None else decisions.units
        fold = (units % FOLDS).astype(np.int64)
        coefficients = np.zeros((FOLDS, terms.shape[1], len(decisions.objectives)))
        for left_out in range(FOLDS):
            for objective in range(len(decisions.objectives)):
                rows = (fold != left_out) & decisions.observed[:, objective]
                coefficients[left_out, :, objective] = _least_squares(terms, decisions.reward[:, objective], rows)
        return cls(fold, coefficients)

    def predict(self, vectors: FloatArray) -> FloatArray:
        """float[n, O]: the expected rewards if row i serves vectors[i], float[n, W]."""
        terms = _terms(vectors)
        found = np.empty((len(vectors), self.coefficients.shape[2]))
        for fold, coefficients in enumerate(self.coefficients):
            rows = self.fold == fold
            found[rows] = terms[rows] @ coefficients
        return found


def _terms(vectors: FloatArray) -> FloatArray:
    """float[n, F]: 1, the weights, and their products."""
    first, second = np.triu_indices(vectors.shape[1])
    products = vectors[:, first] * vectors[:, second]
    return np.concatenate([np.ones((len(vectors), 1)), vectors, products], axis=1)


def _least_squares(terms: FloatArray, rewards: FloatArray, rows: BoolArray) -> FloatArray:
    if not rows.any():
        return np.zeros(terms.shape[1])
    known = terms[rows]
    squares = known.T @ known + RIDGE * np.eye(terms.shape[1])
    return np.asarray(np.linalg.solve(squares, known.T @ rewards[rows]), dtype=np.float64)
