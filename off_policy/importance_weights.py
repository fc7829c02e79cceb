"""Importance weights and the evidence that a weighted sample provides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from off_policy.logged_bandit import LoggedBandit, require_shape
from off_policy.numeric_arrays import FloatArray
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


def effective_sample_size_inf(weights: FloatArray) -> float:
    """ESS_inf = sum w / max w: stricter than ESS, dominated by the heaviest row."""
    heaviest = float(weights.max(initial=0.0))
    return float(weights.sum()) / heaviest if heaviest > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much evidence a weighted sample provides.

    n                    rows of the log in which the objective was observed
    matched_rows         rows with a positive weight
    positives            matched rows with a positive reward
    ess, ess_inf         effective sample sizes of the weights
    effective_positives  (sum w r)^2 / sum (w r)^2: the positives, discounted for uneven weights
    effective_negatives  the same for (largest reward seen - r); if it is 0, all rewards are equal,
                         so the spread is unknown and a standard error of zero would be meaningless
    """

    n: int
    matched_rows: int
    positives: int
    ess: float
    ess_inf: float
    effective_positives: float
    effective_negatives: float


def evidence_of(weights: FloatArray, rewards: FloatArray) -> Evidence:
    """Evidence of rewards r[n] under weights w[n] >= 0."""
    matched = np.flatnonzero(weights > 0)
    w, r = weights[matched], rewards[matched]
    shortfall = r.max(initial=0.0) - r
    return Evidence(
        n=len(weights),
        matched_rows=len(w),
        positives=int((r > 0).sum()),
        ess=effective_sample_size(w),
        ess_inf=effective_sample_size_inf(w),
        effective_positives=effective_sample_size(w * np.maximum(r, 0.0)),
        effective_negatives=effective_sample_size(w * shortfall),
    )
