"""Arms of an online experiment against its control: means, differences, their joint covariance, intervals.

Users are drawn into arms, so users are independent and their decisions are not: every error is computed by user. With
N_u = Σ w y and D_u = Σ w over the observed units of user u, in any counting unit, the mean of an arm with n users is
Hájek's ratio (Hájek 1971)

    m = Σ_u N_u / Σ_u D_u,

and user u's influence on it is ψ_u = (N_u - m D_u) / Σ D. So for outcomes k and l of one arm, whatever their units,

    Cov(m_k, m_l) = √(n_k/(n_k - 1)) √(n_l/(n_l - 1)) Σ_u ψ_uk ψ_ul,

with n_k the users of whom k was observed: the delta method by cluster (Deng, Knoblich and Lu 2018, "Applying the Delta
Method in Metric Analytics", section 3). Arms share no user, so for Δ = m(arm) - m(control)

    Cov(Δ_k, Δ_l) = Cov(arm) + Cov(control),   Cov(Δ of arm a, Δ of arm b) = Cov(control).

The lift is R - 1 with R = m(arm) / m(control) and Var R = (Var(arm) + R² Var(control)) / m(control)².
Intervals are Student's t with Welch and Satterthwaite's degrees of freedom, an arm having one less than the effective
number of its users, (Σ D)² / Σ D². They cover what they say in one look at a time that was fixed beforehand;
`sequential_reading` has those that hold at every look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from off_policy.arm_results import ArmComparison, ArmOutcome, ArmResult, EffectiveUsers, OutcomeLabel
from off_policy.estimates import Refusal, RefusalCode
from off_policy.importance_weights import effective_sample_size
from off_policy.intervals import FEWEST_UNITS, student_interval
from off_policy.logged_bandit import EvaluationError, require_shape
from off_policy.numeric_arrays import FloatArray
from off_policy.sample_ratio import sample_ratio_p
from off_policy.user_sums import ArmUsers, UserSums

UNDEFINED = math.nan
EQUAL_WITHIN = 1e-12
"""Sums of outcomes that differ relatively by less are equal."""


@dataclass(frozen=True, slots=True)
class ArmDesign:
    """The arms of an experiment and how they are compared.

    shares         arm name -> share of the experiment's users, > 0; in any unit, as only their ratios count. The order
                   numbers the arms from 0
    control        the arm that the others are compared with
    level          coverage of every interval, in (0, 1)
    min_positives  fewest users with a positive outcome that an interval needs in either arm, and fewest with one below
                   the clip; as effective numbers

    Raises EvaluationError if they cannot be compared.
    """

    shares: Mapping[str, float]
    control: str
    level: float = 0.95
    min_positives: int = 30

    def __post_init__(self) -> None:
        if len(self.shares) < 2 or self.control not in self.shares:
            raise EvaluationError(
                f"the arms {list(self.shares)} cannot be compared with the control {self.control!r}",
                fix="give two arms at least, one of them the control",
            )
        if not all(0.0 < share < math.inf for share in self.shares.values()):
            raise EvaluationError(f"the shares {dict(self.shares)} are not all positive", fix="give every arm a share")
        if not 0.0 < self.level < 1.0 or self.min_positives < 1:
            raise EvaluationError(
                f"level {self.level}, min_positives {self.min_positives}",
                fix="use a level in (0, 1), such as 0.95, and at least 1 positive",
            )


@dataclass(frozen=True, slots=True, eq=False)
class ArmSums:
    """One outcome of all users: its name and kind, and its sums by user."""

    label: OutcomeLabel
    sums: UserSums


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """One arm: means[K] and their covariance[K, K], its users, and for each outcome why it has no interval."""

    users: int
    rows: int
    requests: float
    means: FloatArray
    covariance: FloatArray
    effective: list[EffectiveUsers]
    units: list[int]
    positives: list[int]
    refusals: list[Refusal | None]


def compare_arms(design: ArmDesign, users: ArmUsers, outcomes: Sequence[ArmSums]) -> ArmComparison:
    """Compare every arm with the control on K outcomes; `users` and all sums number the same users.

    Users who are in several arms (`user_sums.IN_NONE`) are left out. Raises EvaluationError if shapes differ.
    """
    for outcome in outcomes:
        require_shape(f"sums of {outcome.label.name}", outcome.sums.total, (len(users.arm),))
    names = list(design.shares)
    total = math.fsum(design.shares.values())
    sides = [_side(design, users, outcomes, arm) for arm in range(len(names))]
    control = sides[names.index(design.control)]
    labels = tuple(outcome.label for outcome in outcomes)
    results = {}
    for name, side in zip(names, sides, strict=True):
        against = None if side is control else control
        found = [_outcome(side, against, place, design) for place in range(len(labels))]
        covariance = side.covariance if against is None else side.covariance + against.covariance
        results[name] = ArmResult(
            users=side.users,
            rows=side.rows,
            requests=side.requests,
            share=design.shares[name] / total,
            outcomes={label.name: each for label, each in zip(labels, found, strict=True)},
            covariance=tuple(tuple(map(float, row)) for row in covariance),
        )
    p = sample_ratio_p([side.users for side in sides], [design.shares[name] for name in names])
    return ArmComparison(design.control, labels, results, p)


def _side(design: ArmDesign, users: ArmUsers, outcomes: Sequence[ArmSums], arm: int) -> _Side:
    members = np.flatnonzero(users.arm == arm)
    width = len(outcomes)
    means = np.full(width, UNDEFINED)
    influence = np.zeros((len(members), width))
    effective: list[EffectiveUsers] = []
    units, positives, refusals = [], [], []
    for place, outcome in enumerate(outcomes):
        sums = outcome.sums
        total, weight = sums.total[members], sums.weight[members]
        seen = int(np.count_nonzero(weight))
        if seen:
            means[place] = total.sum() / weight.sum()
        scale = math.sqrt(seen / (seen - 1)) if seen > 1 else UNDEFINED
        influence[:, place] = (total - means[place] * weight) * (scale / weight.sum()) if seen else UNDEFINED
        units.append(int(sums.units[members].sum()))
        positives.append(int(sums.positives[members].sum()))
        most = outcome.label.clip * weight
        below = np.where(total < most * (1.0 - EQUAL_WITHIN), most - total, 0.0)
        effective.append(EffectiveUsers(*map(effective_sample_size, (weight, total, below))))
        refusals.append(_lacking(seen, effective[place], design))
    covariance = influence.T @ influence if len(members) else np.full((width, width), UNDEFINED)
    rows, requests = int(users.rows[members].sum()), float(users.requests[members].sum())
    return _Side(len(members), rows, requests, means, covariance, effective, units, positives, refusals)


def _lacking(seen: int, effective: EffectiveUsers, design: ArmDesign) -> Refusal | None:
    """Why an arm says too little about an outcome."""
    users, positive, negative = effective.all, effective.positive, effective.below_clip
    least, few = design.min_positives - 1e-9, design.min_positives
    if not seen:
        return Refusal(RefusalCode.TOO_FEW_UNITS, "nothing was observed")
    if users < FEWEST_UNITS - 1e-9:
        worth = f"({seen}, worth {users:.1f} equally active users)"
        return Refusal(RefusalCode.TOO_FEW_UNITS, f"fewer than {FEWEST_UNITS} users {worth}")
    if positive < least:
        worth = f"(worth {positive:.1f} equally positive users)"
        return Refusal(RefusalCode.TOO_FEW_POSITIVES, f"fewer than {few} users with a positive outcome {worth}")
    if negative < least:
        worth = f"(worth {negative:.1f} such users)"
        return Refusal(RefusalCode.TOO_FEW_NEGATIVES, f"fewer than {few} users with an outcome below the clip {worth}")
    return None


def _outcome(side: _Side, control: _Side | None, place: int, design: ArmDesign) -> ArmOutcome:
    """One outcome of an arm; without a control, of the control itself."""
    mean, variance = float(side.means[place]), float(side.covariance[place, place])
    plain = ArmOutcome(mean, math.sqrt(variance), side.units[place], side.positives[place], side.effective[place])
    if control is None:
        return plain
    base, base_variance = float(control.means[place]), float(control.covariance[place, place])
    delta, error = mean - base, math.sqrt(variance + base_variance)
    ratio = mean / base if base > 0.0 else UNDEFINED
    lift_error = math.sqrt(variance + ratio * ratio * base_variance) / base if base > 0.0 else UNDEFINED
    refusal = _refused(side.refusals[place], control.refusals[place])
    interval = lift_interval = None
    if refusal is None:
        sizes = side.effective[place].all, control.effective[place].all
        freedom = _welch((variance, base_variance), sizes)
        interval = student_interval(delta, error, freedom + 1.0, design.level)
        freedom = _welch((variance, ratio * ratio * base_variance), sizes)
        lift_interval = student_interval(ratio - 1.0, lift_error, freedom + 1.0, design.level)
    return ArmOutcome(
        mean=mean,
        mean_error=math.sqrt(variance),
        units=side.units[place],
        positives=side.positives[place],
        effective=side.effective[place],
        delta=delta,
        standard_error=error,
        interval=interval,
        lift=ratio - 1.0,
        lift_error=lift_error,
        lift_interval=lift_interval,
        refusal=refusal,
    )


def _refused(arm: Refusal | None, control: Refusal | None) -> Refusal | None:
    if arm is not None:
        return Refusal(arm.code, f"the arm: {arm.reason}")
    return None if control is None else Refusal(control.code, f"the control: {control.reason}")


def _welch(variances: tuple[float, float], sizes: tuple[float, float]) -> float:
    """(V₁ + V₂)² / (V₁²/(n₁ - 1) + V₂²/(n₂ - 1)), the degrees of freedom of Welch (1947) and Satterthwaite (1946)."""
    parts = sum(variance**2 / (size - 1.0) for variance, size in zip(variances, sizes, strict=True))
    return sum(variances) ** 2 / parts if parts > 0.0 else math.inf
