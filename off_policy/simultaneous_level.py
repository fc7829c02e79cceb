"""The coverage that each interval of a family needs so that all of them together cover at a given level (max-t).

A reader who picks the best of 25 α looks at 50 lifts. Intervals that cover 95 % each do not cover all 50 at once.

1. The influence of each unit (user or session) on each lift, by the delta method.
2. The Gaussian multiplier bootstrap (Chernozhukov, Chetverikov and Kato 2013): multiply each unit's influences by one
   standard normal draw, sum, divide by the standard errors, take the largest of the absolute values. Given the log, the
   sums are normal with the covariance Σ_u ψ_u ψ_uᵀ, so they are drawn from that matrix, whatever the number of units.
3. Its quantile at the level is the critical value c of the band, "sup-t" in Montiel Olea and Plagborg-Møller (2019).
4. P(|N(0, 1)| ≤ c) is the level of each interval: `score_bounds` then computes the band as it does all intervals.

Lifts of neighbouring α rest on mostly the same rows, so c is smaller than Bonferroni's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from off_policy.importance_weights import importance_weights
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray
from off_policy.policy_evaluation import PredictedPolicy

DRAWS = 20_000
"""Their quantile at 0.95 has a standard error of about 0.01."""


@dataclass(frozen=True, slots=True)
class SimultaneousLevel:
    """`each` is the coverage of each of `lifts` intervals, all of which cover together at `level`.

    `critical` is the critical value c in standard errors, `bonferroni` the one that Bonferroni's rule would need. A
    family without a lift that varies has `each` equal to `level`.
    """

    level: float
    each: float
    lifts: int
    critical: float
    bonferroni: float


def simultaneous_level(
    influences: FloatArray, level: float, rng: np.random.Generator, draws: int = DRAWS
) -> SimultaneousLevel:
    """`influences` float[units, lifts]: what each unit adds to the error of each lift; `level` in (0, 1).

    Lifts without variance or with an undefined one (those of the baseline over itself) are left out.
    """
    covariance: FloatArray = influences.T @ influences
    variances = np.diagonal(covariance)
    kept = np.flatnonzero(np.isfinite(variances) & (variances > 0.0))
    if not len(kept):
        normal = _critical(level)
        return SimultaneousLevel(level, level, 0, normal, normal)
    errors = np.sqrt(variances[kept])
    correlation = covariance[np.ix_(kept, kept)] / np.outer(errors, errors)
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    largest = np.abs(rng.standard_normal((draws, len(kept))) @ root.T).max(axis=1)
    bonferroni = _critical(1.0 - (1.0 - level) / len(kept))
    critical = min(float(np.quantile(largest, level)), bonferroni)
    return SimultaneousLevel(level, 1.0 - 2.0 * float(ndtr(-critical)), len(kept), critical, bonferroni)


def lift_influences(
    log: LoggedBandit,
    policies: Sequence[PredictedPolicy],
    baseline: PredictedPolicy,
    q_logged: FloatArray | None,
    rows: BoolArray | None = None,
) -> FloatArray:
    """float[units, P · O]: the influence of each unit on each relative lift, those of one policy together.

    By DR with `q_logged` float[n, O] and the policies' expected values, else by SNIPS; over the rows of bool[n] `rows`
    (None: all). A column is NaN where the lift is undefined.
    """
    inside = np.ones(log.rows, dtype=np.bool_) if rows is None else rows
    units = np.arange(log.rows) if log.units is None else log.units
    numbers = np.unique(units[inside], return_inverse=True)[1].reshape(-1)
    objectives = len(log.objectives)
    found = np.full((int(numbers.max(initial=-1)) + 1, len(policies) * objectives), math.nan)
    unit_of = np.zeros(log.rows, dtype=np.int64)
    unit_of[inside] = numbers
    base_weights = importance_weights(log, baseline.policy)
    for place, policy in enumerate(policies):
        weights = importance_weights(log, policy.policy)
        for objective in range(objectives):
            seen = np.flatnonzero(inside & log.observed[:, objective])
            ours = _value_influence(log, (policy, weights), q_logged, (seen, objective))
            base = _value_influence(log, (baseline, base_weights), q_logged, (seen, objective))
            if base[0] > 0.0 and math.isfinite(ours[0]):
                terms = (ours[1] - ours[0] / base[0] * base[1]) / base[0]
                found[:, place * objectives + objective] = np.bincount(
                    unit_of[seen], weights=terms, minlength=len(found)
                )
    return found


def _value_influence(
    log: LoggedBandit,
    weighted: tuple[PredictedPolicy, FloatArray],
    q_logged: FloatArray | None,
    part: tuple[IntArray, int],
) -> tuple[float, FloatArray]:
    """(value, influence float[k]) of a policy on the k rows and the objective of `part`; NaN without evidence."""
    (rows, objective), (policy, weights) = part, weighted
    reward, w = log.reward[rows, objective], weights[rows]
    if q_logged is not None and policy.expected is not None:
        terms = policy.expected[rows, objective] + w * (reward - q_logged[rows, objective])
        value = float(terms.mean()) if len(terms) else math.nan
        return value, (terms - value) / max(len(terms), 1)
    total = float(w.sum())
    value = float((w * reward).sum()) / total if total > 0.0 else math.nan
    return value, w * (reward - value) / (total or math.nan)


def _critical(level: float) -> float:
    """The two-sided normal quantile."""
    return float(ndtri(0.5 + level / 2.0))
