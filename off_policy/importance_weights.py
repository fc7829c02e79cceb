"""Importance weights and the evidence that a weighted sample provides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from off_policy.logged_bandit import LoggedBandit, require_shape
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.sampling_design import BY_ROW, SamplingDesign, inner
from off_policy.target_policies import TargetPolicy


def importance_weights(log: LoggedBandit, policy: TargetPolicy, rows: slice | None = None) -> FloatArray:
    """float[k]: w_i = pi(a_i | x_i) / mu(a_i | x_i), mu the logged propensity, of the log's `rows` (None: all), which
    are those of the policy."""
    action = log.action[rows or slice(None)]
    require_shape(f"policy {policy.name!r} (rows)", np.empty(policy.rows), action.shape)
    return policy.probability_of(action) / log.propensity[rows or slice(None)]


def positive_weights(log: LoggedBandit, policy: TargetPolicy, rows: slice) -> tuple[IntArray, FloatArray]:
    """(places int[m] in `rows`, w float[m]): the `importance_weights` that are positive."""
    if policy.arms is not None:
        require_shape(f"policy {policy.name!r} (rows)", policy.arms, (rows.stop - rows.start,))
        places = np.flatnonzero(policy.arms == log.action[rows])
        return places, 1.0 / log.propensity[rows][places]
    weights = importance_weights(log, policy, rows)
    places = np.flatnonzero(weights > 0)
    return places, weights[places]


def effective_sample_size(weights: FloatArray) -> float:
    """ESS = (sum w)^2 / sum w^2 (Kish); 0 if all weights are 0. Scaling keeps the squares from overflowing."""
    heaviest = float(weights.max(initial=0.0))
    if heaviest <= 0:
        return 0.0
    scaled = weights / heaviest
    return float(scaled.sum()) ** 2 / inner(scaled, scaled)


@dataclass(frozen=True, slots=True)
class EffectiveSizes:
    """How many evenly weighted rows or units weights w are worth; all 0 without a positive weight.

    rows      ESS = (Σ w)² / Σ w² (Kish 1965)
    units     the same of the weights summed by unit
    heaviest  ESS_inf = Σ w / max w: stricter than ESS, dominated by the heaviest row
    freedom   (Σ w²)² / Σ w⁴ of the weights summed by unit: Owen's effective size for the variance of a weighted mean.
              With Student's t on one degree of freedom less, intervals cover what they promise; ESS is too large for
              densities
    """

    rows: float
    units: float
    heaviest: float
    freedom: float

    @classmethod
    def of(cls, weights: FloatArray, design: SamplingDesign) -> Self:
        """Of weights float[k] >= 0."""
        rows, heaviest, freedom = _sizes(weights)
        if design.units is None:
            return cls(rows, rows, heaviest, freedom)
        units, _, freedom = _sizes(design.sums(weights))
        return cls(rows, units, heaviest, freedom)


def _sizes(weights: FloatArray) -> tuple[float, float, float]:
    """(ESS, ESS_inf, effective size of the variance); scaling keeps the powers from overflowing."""
    heaviest = float(weights.max(initial=0.0))
    if heaviest <= 0.0:
        return 0.0, 0.0, 0.0
    scaled = weights / heaviest
    total, squared = float(scaled.sum()), np.square(scaled)
    squares = float(squared.sum())
    return total * total / squares, total, squares * squares / inner(squared, squared)


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much evidence a weighted sample provides.

    n                   rows of the log in which the objective was observed
    matched_rows        rows with a positive weight
    positives           matched rows with a positive reward
    ess, ess_inf        effective sample sizes of the weights
    expected_positives  ESS times the share of positive rewards in the rows that do not count here
    effective_units     ESS of the weights summed by unit; equal to `ess` if every row is a unit
    freedom             (Σ w²)² / Σ w⁴ of the weights summed by unit: one more than Student's degrees of freedom
    reward_size         Σ r² / Σ r of all n rows, the size of one reward (`weighted_parts.reward_size`)

    Positives are expected from other rows and not counted: a count would let the outcome choose which logs get an
    answer, and those with many positives by luck would get one.
    """

    n: int
    matched_rows: int
    positives: int
    ess: float
    ess_inf: float
    expected_positives: float
    effective_units: float
    freedom: float
    reward_size: float = 0.0

    def expecting(self, elsewhere: Elsewhere, whole: Elsewhere) -> Evidence:
        """With positives expected by their share elsewhere, or in the whole log if those rows are too few."""
        rate = whole if elsewhere.rows < self.matched_rows else elsewhere
        return replace(self, expected_positives=self.ess * rate.positives / rate.rows if rate.rows else 0.0)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Further rows of a log, of which only their number, that of their positive rewards, Σ r and Σ r² are known."""

    rows: int
    positives: int
    reward_sum: float = 0.0
    reward_squares: float = 0.0

    @classmethod
    def of(cls, rewards: FloatArray) -> Self:
        """Rows with these rewards, float[n]."""
        return cls(len(rewards), int(np.count_nonzero(rewards > 0)), float(rewards.sum()), inner(rewards, rewards))

    @property
    def reward_size(self) -> float:
        """Σ r² / Σ r, the size of one reward (`weighted_parts.reward_size`); 0 without a reward."""
        return self.reward_squares / self.reward_sum if self.reward_sum > 0.0 else 0.0

    def beside(self, other: Self) -> Self:
        """These rows and others."""
        return type(self)(
            self.rows + other.rows,
            self.positives + other.positives,
            self.reward_sum + other.reward_sum,
            self.reward_squares + other.reward_squares,
        )

    def without(self, rewards: FloatArray) -> Self:
        """All of these rows but some that have the rewards float[k]."""
        kept = self.of(rewards)
        return type(self)(
            self.rows - kept.rows,
            self.positives - kept.positives,
            self.reward_sum - kept.reward_sum,
            self.reward_squares - kept.reward_squares,
        )


def evidence_of(
    weights: FloatArray,
    rewards: FloatArray,
    design: SamplingDesign = BY_ROW,
    elsewhere: Elsewhere | None = None,
    whole: Elsewhere | None = None,
) -> Evidence:
    """Evidence of rewards r[k] under weights w[k] >= 0.

    The share of positives is that of the rows `elsewhere`, which are not among the k (None: of those of the k that have
    no weight). If they are fewer than the rows with a weight, it is that of the `whole` log (None: of the k and of
    those elsewhere): of densities, every row has a weight.
    """
    positive = weights > 0
    if whole is None:
        whole = Elsewhere.of(rewards)
        whole = whole if elsewhere is None else whole.beside(elsewhere)
    sizes = EffectiveSizes.of(weights, design)
    found = Evidence(
        n=whole.rows,
        matched_rows=int(np.count_nonzero(positive)),
        positives=int(np.count_nonzero(positive & (rewards > 0))),
        ess=sizes.rows,
        ess_inf=sizes.heaviest,
        expected_positives=0.0,
        effective_units=sizes.units,
        freedom=sizes.freedom,
        reward_size=whole.reward_size,
    )
    return found.expecting(whole.without(rewards[positive]) if elsewhere is None else elsewhere, whole)
