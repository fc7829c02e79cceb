"""The parts of a value on the rows of a log: what `score_bounds` needs of weights, rewards and predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from off_policy.numeric_arrays import FloatArray
from off_policy.sampling_design import SamplingDesign, Variances, inner
from off_policy.score_bounds import ScorePart

NEGLIGIBLE = 1e-12
"""Standard errors that are smaller, relative to those of rewards of their size, are rounding: their ratio says nothing
of how rows of one user go together."""


def reward_size(rewards: FloatArray, weights: FloatArray | None = None) -> float:
    """s = Σ g r² / Σ g r, the size of one reward: 1 if rewards are 0 or 1; 0 without a reward.

    With it, a reward of any kind counts as hits of one size: its mean m and its second moment are those of a share
    m / s of hits.
    """
    weighted = rewards if weights is None else weights * rewards
    total = float(weighted.sum())
    return inner(weighted, rewards) / total if total > 0.0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class PartRows:
    """The rows of a part of a value that are at hand, k of the n of the sample; the others have no weight.

    influence  float[k]: the terms whose sum over a unit is squared and added up to the variance; or the `Variances`
               that follow from the terms of all rows
    weights    float[k]: g, by which rewards enter, divided by the sum of the policy's weights
    rewards    float[k]
    centre     c, what is subtracted from each reward: float[k], or one number
    bends      whether c is the value itself, as in self-normalised estimators
    """

    influence: FloatArray | Variances
    weights: FloatArray
    rewards: FloatArray
    centre: FloatArray | float
    bends: bool

    def score(self, design: SamplingDesign, size: float) -> ScorePart:
        """The part's variances; `size` is the size of one reward in the whole log (`reward_size`)."""
        if self.weights.min(initial=1.0) > 0.0:
            return self._score(design, size, (self.weights, self.rewards, self.centre))
        kept = np.flatnonzero(self.weights > 0.0)
        centre = self.centre[kept] if isinstance(self.centre, np.ndarray) else self.centre
        return self._score(design, size, (self.weights[kept], self.rewards[kept], centre))

    def _score(
        self, design: SamplingDesign, size: float, kept: tuple[FloatArray, FloatArray, FloatArray | float]
    ) -> ScorePart:
        g, rewards, centre = kept
        total, squares = float(g.sum()), inner(g, g)
        if total <= 0.0:
            nothing = np.zeros(())
            return ScorePart(nothing, nothing, nothing, nothing, nothing)
        residual = rewards - centre
        moved = g * residual
        spread = inner(moved, residual) / total
        sum_of_residuals = 0.0 if self.bends else float(moved.sum())
        middle = inner(g, g * centre) / squares
        one = max(size, reward_size(rewards, g))
        known = self.influence if isinstance(self.influence, Variances) else design.variances(self.influence)
        if known.by_row <= squares * (NEGLIGIBLE * max(one, abs(middle))) ** 2:
            known = Variances(0.0, 0.0)
        n = design.sample_size(len(self.weights))
        return ScorePart(
            variance=np.asarray(known.by_unit),
            row_variance=np.asarray(known.by_row),
            floor=np.asarray(max(squares * spread - sum_of_residuals * sum_of_residuals / n, 0.0)),
            slope=np.asarray(squares / total * (one - 2.0 * middle)),
            bend=np.asarray(squares / total**2 if self.bends else 0.0),
        )
