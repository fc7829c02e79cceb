"""The explored log of a box of weights: a mixed measure, whose rows are vectors with a density or production, an atom.

A decision is production with a probability, or else a vector. Its importance weight is the ratio of what the target
policy and the logging policy give to just this: probabilities for production, probability times density for a vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from off_policy.logged_bandit import LEAST_PROPENSITY, EvaluationError, LoggedBandit, require_shape
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray

PRODUCTION_ATOM = 1
"""The arm of a box that is production; arm 0 is a vector."""
LEAST_LOG_DENSITY = math.log(LEAST_PROPENSITY)
"""As for propensities: with smaller densities, squared weights overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class BoxLog:
    """EXPLORE decisions in a box of W weights, all normalised to [0, 1].

    decisions    arm 0 (a vector) or 1 (production) of each row, P(arm | slice) and rewards
    vectors      float[n, W] in [0, 1]; ignored in rows of production
    log_density  float[n]: ln of the logging density of the vector, given arm 0; ignored in rows of production
    production   float[W] in [0, 1]: the vector that production serves

    Raises EvaluationError if a shape or a value is wrong.
    """

    decisions: LoggedBandit
    vectors: FloatArray
    log_density: FloatArray
    production: FloatArray

    def __post_init__(self) -> None:
        for name in ("vectors", "log_density", "production"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        require_shape("log.vectors", self.vectors, (self.rows, len(self.production)))
        require_shape("log.log_density", self.log_density, (self.rows,))
        if self.rows and int(self.decisions.action.max()) > PRODUCTION_ATOM:
            raise EvaluationError(
                f"log.action has arm {int(self.decisions.action.max())}",
                fix="a box has arm 0, a vector, and production, 1",
            )
        rows = np.flatnonzero(~self.atom)
        _require_inside("log.vectors", self.vectors[rows], rows)
        _require_inside("log.production", self.production[None, :], np.zeros(1, dtype=np.int64))
        sound = np.isfinite(self.log_density[rows]) & (self.log_density[rows] >= LEAST_LOG_DENSITY)
        unsound = rows[~sound]
        if unsound.size:
            raise EvaluationError(
                f"log.log_density of row {int(unsound[0])} is {self.log_density[unsound[0]]}",
                fix="log the density of every vector",
            )

    @property
    def rows(self) -> int:
        """The number of decisions, n."""
        return self.decisions.rows

    @property
    def atom(self) -> BoolArray:
        """bool[n]: the rows in which production was drawn."""
        drawn: BoolArray = self.decisions.action == PRODUCTION_ATOM
        return drawn

    @property
    def production_share(self) -> FloatArray:
        """float[n]: P(production) when each row was drawn; 0 where only a vector could be, 1 where only production."""
        share: FloatArray = np.where(self.atom, self.decisions.propensity, 1.0 - self.decisions.propensity)
        return share

    @property
    def served_vectors(self) -> FloatArray:
        """float[n, W]: the vector that each row served, also production's."""
        vectors: FloatArray = np.where(self.atom[:, None], self.production, self.vectors)
        return vectors


def _require_inside(name: str, vectors: FloatArray, rows: IntArray) -> None:
    outside = np.flatnonzero(~((vectors >= 0.0) & (vectors <= 1.0)).all(axis=1))
    if outside.size:
        first = int(outside[0])
        raise EvaluationError(
            f"{name}: row {int(rows[first])} is outside the box: {vectors[first].tolist()}",
            fix="normalise each weight: (w - low) / (high - low)",
        )
