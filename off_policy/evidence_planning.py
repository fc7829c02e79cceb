"""How many rows a verdict on a lift needs, before there are any.

The relative lift A / B - 1 of a policy over a baseline, estimated by DR on explored rows, has by the delta method the
variance V / n. Let p be the baseline's mean reward, R = 1 + lift, s the size of one reward (1 if rewards are 0 or 1),
so that a mean m has the variance m (s - m), and g the share of requests in which both choose the same arm. With w the
mean of 1 / propensity,

    V p² = (1 - g) (w_policy m (s - m) + R² w_base p (s - p)) + g lift² w_base p (s - p),   m = p (1 + lift / (1 - g)),

for a model that predicts each arm's mean. A test at the one-sided error alpha shows with the probability `power` that
the lift is above -margin if

    n = D V (z_alpha + z_power)² / (lift + margin)²,

with D the design effect of rows that share a user (Kish 1965). It is the sample size of a single look with known
variance (Chow, Shao and Wang 2008, section 4.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri

from off_policy.logged_bandit import EvaluationError


@dataclass(frozen=True, slots=True)
class ExpectedOutcome:
    """What rewards look like: `rate` > 0 is the baseline's mean, `size` >= rate is Σ r² / Σ r."""

    rate: float
    size: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.rate <= self.size < math.inf:
            raise EvaluationError(
                f"a mean reward of {self.rate:g} with rewards of the size {self.size:g} leaves nothing to plan with",
                fix="wait for rewards",
            )

    def variance(self, mean: float) -> float:
        """Of one reward with this mean, >= 0."""
        return max(mean * (self.size - mean), 0.0)


@dataclass(frozen=True, slots=True)
class ExploredDesign:
    """How explored rows tell of a policy.

    policy_weight, base_weight  mean of 1 / propensity (>= 1) of the policy's arms and of the baseline's
    design_effect               >= 1, of the matched rows
    agreement                   share of requests, in [0, 1), in which both choose the same arm
    """

    policy_weight: float
    base_weight: float
    design_effect: float = 1.0
    agreement: float = 0.0

    def relative_variance(self, outcome: ExpectedOutcome, lift: float) -> float:
        """V: n times the variance of the relative lift on n rows."""
        apart, rate, ratio = 1.0 - self.agreement, outcome.rate, 1.0 + lift
        base = self.base_weight * outcome.variance(rate)
        ours = self.policy_weight * outcome.variance(min(rate * (1.0 + lift / apart), outcome.size))
        return (apart * (ours + ratio**2 * base) + self.agreement * lift**2 * base) / rate**2


def rows_needed(
    design: ExploredDesign, outcome: ExpectedOutcome, lift: float, margin: float, errors: tuple[float, float]
) -> float:
    """Rows of one look; `errors` are (one-sided error, 1 - power), both in (0, 0.5); inf if lift <= -margin."""
    effect = lift + margin
    if effect <= 0.0:
        return math.inf
    return design.design_effect * design.relative_variance(outcome, lift) * _reach(errors) ** 2 / effect**2


def arm_requests_needed(
    outcome: ExpectedOutcome, lift: float, design_effect: float, errors: tuple[float, float]
) -> float:
    """Requests in each of two arms, served online, to show that the lift is above 0; inf if it is not.

    Every request of an arm tells of it, so this is the design above with weights of 1.
    """
    if lift <= 0.0:
        return math.inf
    variance = ExploredDesign(1.0, 1.0).relative_variance(outcome, lift)
    return design_effect * variance * _reach(errors) ** 2 / lift**2


def _reach(errors: tuple[float, float]) -> float:
    return float(-ndtri(errors[0]) - ndtri(errors[1]))
