"""Importance weights and the evidence that a weighted sample provides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from off_policy.logged_bandit import LoggedBandit, require_shape
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.sampling_design import BY_ROW, SamplingDesign
from off_policy.target_policies import TargetPolicy


def importance_weights(log: LoggedBandit, policy: TargetPolicy) -> FloatArray:
    """float[n]: w_i = pi(a_i | x_i) / mu(a_i | x_i), mu the logged propensity."""
    require_shape(f"policy {policy.name!r} (rows)", np.empty(policy.rows), (log.rows,))
    return policy.probability_of(log.action) / log.propensity


def effective_sample_size(weights: FloatArray) -> float:
    """ESS = (sum w)^2 / sum w^2 (Kish); 0 if all weights are 0. Scaling keeps the squares from overflowing."""
    heaviest = float(weights.max(initial=0.0))
    if heaviest <= 0:
        return 0.0
    scaled = weights / heaviest
    return float(scaled.sum()) ** 2 / float(np.square(scaled).sum())


def effective_size_of_variance(weights: FloatArray) -> float:
    """(sum w^2)^2 / sum w^4, Owen's effective size for the variance of a weighted mean; 0 if all weights are 0.

    With Student's t on one degree of freedom less, intervals cover what they promise; ESS is too large for densities.
    """
    heaviest = float(weights.max(initial=0.0))
    return effective_sample_size(np.square(weights / heaviest)) if heaviest > 0 else 0.0


def effective_sample_size_inf(weights: FloatArray) -> float:
    """ESS_inf = sum w / max w: stricter than ESS, dominated by the heaviest row."""
    heaviest = float(weights.max(initial=0.0))
    return float(weights.sum()) / heaviest if heaviest > 0 else 0.0


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


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Further rows of a log, of which nothing but their number and that of their positive rewards is known."""

    rows: int
    positives: int

    @classmethod
    def besides(cls, rewards: FloatArray, kept: IntArray) -> Self:
        """All rows of the log but those `kept`; rewards float[n] are those of the whole log."""
        return cls(len(rewards) - len(kept), int((rewards > 0).sum() - (rewards[kept] > 0).sum()))


def evidence_of(
    weights: FloatArray,
    rewards: FloatArray,
    design: SamplingDesign = BY_ROW,
    elsewhere: Elsewhere | None = None,
) -> Evidence:
    """Evidence of rewards r[n] under weights w[n] >= 0.

    The share of positives is that of the rows `elsewhere`, which are not among the n (None: of those of the n that have
    no weight). If they are fewer than the rows with a weight, it is that of all rows: of densities, every row has a
    weight.
    """
    matched = np.flatnonzero(weights > 0)
    w, r = weights[matched], rewards[matched]
    ess = effective_sample_size(w)
    by_unit = w if design.units is None else design.sums(weights)
    further = Elsewhere(0, 0) if elsewhere is None else elsewhere
    others = Elsewhere.besides(rewards, matched) if elsewhere is None else elsewhere
    if others.rows < len(matched):
        others = Elsewhere(len(rewards) + further.rows, int((rewards > 0).sum()) + further.positives)
    return Evidence(
        n=len(weights) + further.rows,
        matched_rows=len(w),
        positives=int((r > 0).sum()),
        ess=ess,
        ess_inf=effective_sample_size_inf(w),
        expected_positives=ess * others.positives / others.rows if others.rows else 0.0,
        effective_units=ess if design.units is None else effective_sample_size(by_unit),
        freedom=effective_size_of_variance(by_unit),
    )
