"""A quadratic model of rewards over the weights of a box: the reward model of doubly robust estimates there.

Response surfaces of second order are the standard local model of designed experiments (Box and Wilson 1951). The model
need not be right: importance weights correct it, and the better it is, the narrower the intervals.

Of many weights the terms take more memory than the log, so they are computed for a block of rows at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from off_policy.box_log import BoxLog
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.row_distributions import row_blocks

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
        decisions, vectors = log.decisions, log.served_vectors
        units = np.arange(log.rows) if decisions.units is None else decisions.units
        fold = (units % FOLDS).astype(np.int64)
        width, objectives = _width(vectors), len(decisions.objectives)
        squares, products = np.zeros((objectives, FOLDS, width, width)), np.zeros((objectives, FOLDS, width))
        for block in row_blocks(log.rows, width):
            terms = _terms(vectors[block])
            for objective, each in np.ndindex(objectives, FOLDS):
                rows = (fold[block] == each) & decisions.observed[block, objective]
                known, rewards = terms[rows], decisions.reward[block, objective][rows]
                squares[objective, each] += known.T @ known
                products[objective, each] += known.T @ rewards
        coefficients = np.zeros((FOLDS, width, objectives))
        for objective, left_out in np.ndindex(objectives, FOLDS):
            others = np.arange(FOLDS) != left_out
            ridged = squares[objective, others].sum(axis=0) + RIDGE * np.eye(width)
            coefficients[left_out, :, objective] = np.linalg.solve(ridged, products[objective, others].sum(axis=0))
        return cls(fold, coefficients)

    def predict(self, vectors: FloatArray) -> FloatArray:
        """float[n, O]: the expected rewards if row i serves vectors[i], float[n, W]."""
        found = np.empty((len(vectors), self.coefficients.shape[2]))
        for block in row_blocks(len(vectors), _width(vectors)):
            terms, part = _terms(vectors[block]), found[block]
            for fold, coefficients in enumerate(self.coefficients):
                rows = self.fold[block] == fold
                part[rows] = terms[rows] @ coefficients
        return found


def _width(vectors: FloatArray) -> int:
    """F, the number of terms."""
    weights = int(vectors.shape[1])
    return 1 + weights + weights * (weights + 1) // 2


def _terms(vectors: FloatArray) -> FloatArray:
    """float[n, F]: 1, the weights, and their products."""
    first, second = np.triu_indices(vectors.shape[1])
    products = vectors[:, first] * vectors[:, second]
    return np.concatenate([np.ones((len(vectors), 1)), vectors, products], axis=1)
