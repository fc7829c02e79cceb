"""The parts of a value on the rows of a log: what `score_bounds` needs of weights, rewards and predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from off_policy.numeric_arrays import FloatArray
from off_policy.sampling_design import SamplingDesign
from off_policy.score_bounds import ScorePart


def reward_size(rewards: FloatArray, weights: FloatArray | None = None) -> float:
    """s = Σ g r² / Σ g r, the size of one reward: 1 if rewards are 0 or 1; 0 without a reward.

    With it, a reward of any kind counts as hits of one size: its mean m and its second moment are those of a share
    m / s of hits.
    """
    weighted = rewards if weights is None else weights * rewards
    total = float(weighted.sum())
    return float((weighted * rewards).sum()) / total if total > 0.0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PartRows:
    """The n rows of a part of a value.

    influence  float[n]: the terms whose sum over a unit is squared and added up to the variance
    weights    float[n]: g, by which rewards enter, divided by the sum of the policy's weights
    rewards    float[n]
    centre     k, what is subtracted from each reward: float[n], or one number
    bends      whether k is the value itself, as in self-normalised estimators
    """

    influence: FloatArray
    weights: FloatArray
    rewards: FloatArray
    centre: FloatArray | float
    bends: bool

    def score(self, design: SamplingDesign, size: float) -> ScorePart:
        """The part's variances; `size` is the size of one reward in the whole log (`reward_size`)."""
        kept = np.flatnonzero(self.weights > 0.0)
        g, rewards = self.weights[kept], self.rewards[kept]
        k = self.centre[kept] if isinstance(self.centre, np.ndarray) else self.centre
        total, squares = float(g.sum()), float(np.square(g).sum())
        if total <= 0.0:
            nothing = np.zeros(())
            return ScorePart(nothing, nothing, nothing, nothing, nothing)
        residual = rewards - k
        spread = float((g * np.square(residual)).sum()) / total
        sum_of_residuals = 0.0 if self.bends else float((g * residual).sum())
        middle = float((np.square(g) * k).sum()) / squares
        one = max(size, reward_size(rewards, g))
        return ScorePart(
            variance=np.asarray(np.square(design.sums(self.influence)).sum()),
            row_variance=np.asarray(np.square(self.influence).sum()),
            floor=np.asarray(max(squares * spread - sum_of_residuals**2 / len(self.weights), 0.0)),
            slope=np.asarray(squares / total * (one - 2.0 * middle)),
            bend=np.asarray(squares / total**2 if self.bends else 0.0),
        )
