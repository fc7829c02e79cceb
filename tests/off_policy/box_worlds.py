"""A box of weights with a known reward rate, logged uniformly or normally around a production near a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from off_policy.box_log import BoxLog
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import FloatArray
from off_policy.truncated_normals import TruncatedNormals

SHARE = 0.125
SD = 0.3
NEAR_A_BOUND = 0.05
MEAN, SPREAD = 0.2, 0.18
"""The target policy: each weight normal around MEAN, of which the bound cuts 13 %."""


def rate(vectors: FloatArray) -> FloatArray:
    """float[n]: P(reward) of each vector."""
    found: FloatArray = 0.05 + 0.3 * np.exp(-np.square((vectors - 0.35) / 0.25).sum(axis=1) / 2)
    return found


@dataclass(frozen=True)
class BoxWorld:
    """`width` weights; what explores is uniform, or normal around production with SD."""

    width: int
    kind: Literal["uniform", "normal"]

    @property
    def production(self) -> FloatArray:
        return np.full(self.width, NEAR_A_BOUND)

    def draw(self, rows: int, rng: np.random.Generator) -> BoxLog:
        atom, coins = rng.random(rows) < SHARE, rng.random((rows, self.width))
        sd = np.full(self.width, SD)
        vectors, density = coins, np.zeros(rows)
        if self.kind == "normal":
            exploring = TruncatedNormals(self.production, sd)
            vectors = exploring.quantile(coins)
            density = exploring.log_density(vectors).sum(axis=1)
        reward = rng.random(rows) < rate(np.where(atom[:, None], self.production, vectors))
        decisions = LoggedBandit(
            atom.astype(np.int64),
            np.where(atom, SHARE, 1 - SHARE),
            reward[:, None].astype(np.float64),
            np.ones((rows, 1), dtype=np.bool_),
            ("click",),
        )
        return BoxLog(decisions, vectors, density, self.production)

    def target(self, rows: int) -> tuple[FloatArray, FloatArray]:
        """(mean, sd) of the target policy, float[rows, width] each."""
        return np.full((rows, self.width), MEAN), np.full((rows, self.width), SPREAD)

    def truth(self, mean: FloatArray, sd: FloatArray) -> float:
        """The value of the truncated normal by Gauss-Legendre quadrature, exact to 10^-8."""
        nodes, weights = np.polynomial.legendre.leggauss(40)
        grid = np.stack(np.meshgrid(*[(nodes + 1) / 2] * self.width, indexing="ij"), axis=-1).reshape(-1, self.width)
        mass = np.prod(np.meshgrid(*[weights / 2] * self.width, indexing="ij"), axis=0).reshape(-1)
        return float((mass * np.exp(TruncatedNormals(mean, sd).log_density(grid).sum(axis=1)) * rate(grid)).sum())
