"""Confidence sequences: bounds of a lift that hold at all looks together, whenever somebody stops.

Robbins (1970) mixes likelihood ratios over a normal prior of the effect; Waudby-Smith, Arbour, Sinha, Kennedy and
Ramdas (2024, "Time-uniform central limit theory and asymptotic confidence sequences", theorem 2.2, and appendix B.1 for
one side) show that the boundary holds for estimates that are normal only in large samples. Maharaj et al. (2023,
"Anytime-valid confidence sequences in an enterprise A/B testing platform") run experiments by it.

With the standard error s of an estimate, and τ the sd of the prior, the information is x = τ² / s², and a one-sided
bound that errs at any look with probability at most α is

    z(x) s  away,   z(x)² = 2 (1 + 1/x) log(1 + √(1 + x) / (2α)).

z has its minimum near x = 8 and is flat around it: for α = .025 it is 3.04 there, 3.3 at x = 2 and at 150, 3.7 at 1 and
at 2,000, where one look at a fixed time has 1.96.
The boundary asks for estimates whose later increments do not depend on the earlier ones. Means over users who come back
are such estimates as long as they are nearly efficient; `benchmarks/online_looks.py` counts how often they err.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from off_policy.numeric_arrays import FloatArray

TUNED_LIFT = 0.1
"""τ: bounds are narrowest in experiments that are just large enough to show this lift."""


@dataclass(frozen=True, slots=True, eq=False)
class ArmMean:
    """The mean of an outcome in one arm or in many runs of it, its variance, and the effective number of its users."""

    mean: FloatArray
    variance: FloatArray
    users: FloatArray


def sequence_multiplier(information: FloatArray, error: float) -> FloatArray:
    """z(x): how many standard errors away a one-sided bound is that errs at any look with probability `error`.

    `information` is x > 0, of any shape; `error` is in (0, 0.5).
    """
    factor = np.log1p(np.sqrt(1.0 + information) / (2.0 * error))
    return np.asarray(np.sqrt(2.0 * (1.0 + 1.0 / information) * factor))


def welch_freedom(arm: ArmMean, control: ArmMean) -> FloatArray:
    """(V₁ + V₂)² / (V₁²/(n₁ - 1) + V₂²/(n₂ - 1)), the degrees of freedom of Welch (1947) and Satterthwaite (1946)."""
    parts = sum(each.variance**2 / (each.users - 1.0) for each in (arm, control))
    return np.asarray((arm.variance + control.variance) ** 2 / parts)


def lift_bounds(
    arm: ArmMean, control: ArmMean, error: float, tuned: float = TUNED_LIFT
) -> tuple[FloatArray, FloatArray]:
    """(lower, upper) bound of arm / control - 1, each of which errs at any look with probability `error`.

    They are the lifts r at which m(arm) - (1 + r) m(control) is z standard errors from 0 (Fieller 1954), so that the
    sign of a bound is what the difference of the means says, also where the ratio is skewed. z is that of x at r = 0,
    with Student's quantile of the same tail in place of the normal one, as few users know their variance badly. NaN
    where the control's mean is not z standard errors above 0, or one of the variances is 0 or undefined.
    """
    m, base, v, base_v = arm.mean, control.mean, arm.variance, control.variance
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        information = (tuned * base) ** 2 / (v + base_v)
        z = sequence_multiplier(information, error)
        z = -stdtrit(np.maximum(welch_freedom(arm, control), 1.0), ndtr(-z))
        known = base**2 - z**2 * base_v
        centre, reach = m * base / known, np.sqrt(z**2 * (v * base**2 + base_v * m**2 - z**2 * v * base_v)) / known
        sound = (known > 0.0) & (base > 0.0) & (v + base_v > 0.0)
        lower = np.where(sound, centre - reach - 1.0, np.nan)
        return lower, np.where(sound, centre + reach - 1.0, np.nan)
