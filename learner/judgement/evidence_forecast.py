"""How much evidence a verdict needs at today's traffic: rows and days of a look, the exploration rate, an experiment.

What is known of the traffic comes from explored rows of the selection half; nothing of the judging half is read but how
many rows it has. `off_policy.evidence_planning` has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS
from learner.examples.learner_errors import BoxNotLearnt, NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.judgement.evaluation import judging_half
from learner.judgement.gate_budget import GateBudget
from off_policy.estimates import json_number
from off_policy.evidence_planning import ExpectedOutcome, ExploredDesign, arm_requests_needed, rows_needed
from off_policy.weighted_parts import reward_size

SCREEN_DAYS = 14
"""The longest hold-out that is worth waiting for; beyond it an online experiment decides sooner."""
LONGEST_DAYS = 3650.0
MOST_AGREEMENT = 0.99
"""Two checkpoints whose choices nearly all agree may still differ a little more in the rows of a look."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """What is asked.

    lift       true relative lift of every objective; that of guardrails is 0
    power      probability that a look then passes, in (0, 1)
    agreement  share of requests, in [0, 1), in which the policy serves what production does
    objective  of this objective alone; None: of all, and of guardrails
    refresh    whether lift and agreement are those over a checkpoint that serves, and not over production
    """

    lift: float = 0.1
    power: float = 0.8
    agreement: float = 0.0
    objective: str | None = None
    refresh: bool = False

    @classmethod
    def of_refresh(cls, agreement: float, power: float = 0.8, objective: str | None = None) -> Assumption:
        """A new checkpoint that is neither better nor worse than the one that serves.

        `agreement` in [0, 1] is the share of requests in which both choose the same arm; above 0.99 it counts as that.
        """
        return cls(0.0, power, min(agreement, MOST_AGREEMENT), objective, refresh=True)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What `days` of explored rows say; both halves of the users count in `rows_per_day`, as in `explored_rows`.

    policy_weight, base_weight  mean of 1 / propensity of an arm that is not the baseline, and of the baseline
    """

    days: float
    rows_per_day: float
    judging_share: float
    policy_weight: float
    base_weight: float
    exploration_rate: float

    @property
    def requests_per_day(self) -> float:
        """Of all slices."""
        return self.rows_per_day / self.exploration_rate


@dataclass(frozen=True, slots=True)
class OutcomeForecast:
    """One objective or guardrail: what one look needs to pass it, and what an experiment needs to show its lift.

    explored_rows     in the hold-out of the look
    days              of hold-out at today's traffic; inf if no length suffices
    exploration_rate  with which 14 days suffice; None if none does
    arm_requests      requests of each arm in an online experiment of 14 days; inf without a lift
    """

    name: str
    role: str
    lift: float
    rate: float
    design_effect: float
    explored_rows: float
    days: float
    exploration_rate: float | None
    arm_requests: float

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is infinite is null."""
        return {name: json_number(value) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Forecast:
    """The traffic, the one-sided error of the next look, and what each outcome needs; all must pass."""

    traffic: Traffic
    share: float
    holdout_days: float
    outcomes: tuple[OutcomeForecast, ...]

    @property
    def days(self) -> float:
        """Of hold-out, for the outcome that needs most."""
        return max(each.days for each in self.outcomes)

    @property
    def screens(self) -> bool:
        """Whether a hold-out of at most 14 days suffices."""
        return self.days <= SCREEN_DAYS

    @property
    def exploration_rate(self) -> float | None:
        """With which 14 days of hold-out suffice for all outcomes; None if none does."""
        rates = [each.exploration_rate for each in self.outcomes]
        return None if None in rates else max(rate for rate in rates if rate is not None)

    @property
    def arm_requests_per_day(self) -> float:
        """Of each arm, in an experiment of 14 days that shows the lift of every objective."""
        return max(each.arm_requests for each in self.outcomes if each.role == "optimise") / SCREEN_DAYS

    @property
    def experiment_share(self) -> float:
        """The share of all users that two such arms need; above 1 there is too little traffic for 14 days.

        Explored requests serve no arm.
        """
        served = self.traffic.requests_per_day * (1.0 - self.traffic.exploration_rate)
        return 2.0 * self.arm_requests_per_day / served if served > 0.0 else math.inf

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; what is infinite is null."""
        return {
            "traffic": asdict(self.traffic) | {"requests_per_day": self.traffic.requests_per_day},
            "share": self.share,
            "holdout_days": self.holdout_days,
            "days": json_number(self.days),
            "screens": self.screens,
            "exploration_rate": self.exploration_rate,
            "arm_requests_per_day": json_number(self.arm_requests_per_day),
            "experiment_share": json_number(self.experiment_share),
            "outcomes": [each.as_dict() for each in self.outcomes],
        }


def forecast(rows: LearningRows, experiment: Experiment, budget: GateBudget, assumed: Assumption) -> Forecast:
    """From the explored rows of some days.

    The look is the next one of `budget`, with as much of the error as it may spend by then. Raises NothingToLearn if
    the rows say too little, BoxNotLearnt for a box, and EvaluationError without rewards.
    """
    if experiment.action_space.kind == "box":
        raise BoxNotLearnt(
            "a box of weights has no arms that a look could match",
            fix="judge policies of your own with `trimtab evaluate --policy FILE`, or in an online experiment",
        )
    traffic = traffic_of(rows, experiment)
    if assumed.refresh:  # what serves plays arms of its own, like the policy
        traffic = replace(traffic, base_weight=traffic.policy_weight)
    selecting = rows.take(np.flatnonzero(~judging_half(rows)))
    found = tuple(_outcomes(selecting, traffic, experiment, budget, assumed))
    window = experiment.learner.holdout_window
    return Forecast(traffic, next_share(budget, window), window / DAY_MS, found)


def traffic_of(rows: LearningRows, experiment: Experiment) -> Traffic:
    """Raises NothingToLearn if rows have no arm beside the baseline, one time, or users of one half alone."""
    span = int(rows.event_times.max() - rows.event_times.min()) if rows.count else 0
    space = experiment.action_space
    own = rows.arms == space.production_arm
    inverse = 1.0 / rows.propensities
    rate, share = experiment.experiment.exploration_rate, experiment.production_share
    half = float(judging_half(rows).mean()) if rows.count else 0.0
    if span <= 0 or own.all() or rate <= 0.0 or half in (0.0, 1.0):
        raise NothingToLearn(
            f"{rows.count} explored examples at exploration rate {rate:g} say too little of the traffic",
            fix="wait until several users explored for a day",
        )
    base = 1.0 if space.kind == "catalogue" else float(inverse[own].mean()) if own.any() else 1.0 / max(share, 1e-9)
    return Traffic(
        days=span / DAY_MS,
        rows_per_day=rows.count / (span / DAY_MS),
        judging_share=half,
        policy_weight=float(inverse[~own].mean()),
        base_weight=base,
        exploration_rate=rate,
    )


def next_share(budget: GateBudget, holdout_ms: int) -> float:
    """The one-sided error that the next look may spend, as soon as a hold-out of this length is new."""
    since = 0 if budget.last is None else budget.last.holdout_to
    look = budget.look_at(since, since + holdout_ms)
    assert look is not None
    return look.share


def _outcomes(
    rows: LearningRows, traffic: Traffic, experiment: Experiment, budget: GateBudget, assumed: Assumption
) -> Iterator[OutcomeForecast]:
    guardrails = [each.name for each in experiment.counted if each.role == "guardrail" and each.per == "request"]
    for log, role in ((rows.logged_bandit(experiment), "optimise"), (rows.watched_bandit(experiment), "guardrail")):
        if log is None:
            continue
        for place, name in enumerate(log.objectives):
            wanted = role == "optimise" or (name in guardrails and assumed.objective is None)
            if not wanted or assumed.objective not in (None, name):
                continue
            seen = log.observed[:, place]
            units = None if log.units is None else log.units[seen]
            shape = _Shape.of(log.reward[seen, place], 1.0 / rows.propensities[seen], units)
            yield _Need(traffic, shape, experiment, budget, assumed, assumed.lift if role == "optimise" else 0.0).told(
                name, role
            )


@dataclass(frozen=True, slots=True)
class _Shape:
    """An outcome's rewards r, with e = r - mean(r).

    pairs     Σ e e' over ordered pairs of rows of one user, over Σ e²
    weighted  Σ e² / propensity, over Σ e²
    """

    outcome: ExpectedOutcome
    pairs: float
    weighted: float

    @classmethod
    def of(cls, rewards: NDArray[np.float64], inverse: NDArray[np.float64], units: NDArray[np.int64] | None) -> _Shape:
        mean = float(rewards.mean()) if len(rewards) else 0.0
        outcome = ExpectedOutcome(mean, max(reward_size(rewards), mean))
        apart = rewards - mean
        squares = float(np.square(apart).sum())
        together = squares if units is None else float(np.square(np.bincount(units, weights=apart)).sum())
        if squares <= 0.0:
            return cls(outcome, 0.0, 1.0)
        weighted = float((np.square(apart) * inverse).sum()) / squares
        return cls(outcome, max(together / squares - 1.0, 0.0), weighted)


@dataclass(frozen=True, slots=True)
class _Need:
    """What one outcome needs."""

    traffic: Traffic
    shape: _Shape
    experiment: Experiment
    budget: GateBudget
    assumed: Assumption
    lift: float

    def told(self, name: str, role: str) -> OutcomeForecast:
        days = self.days()
        at = days if math.isfinite(days) else float(SCREEN_DAYS)
        needed = self.rows(SCREEN_DAYS, self.effect(SCREEN_DAYS)) / (self.traffic.rows_per_day * SCREEN_DAYS)
        rate = self.traffic.exploration_rate * needed
        return OutcomeForecast(
            name=name,
            role=role,
            lift=self.lift,
            rate=self.shape.outcome.rate,
            design_effect=self.effect(at),
            explored_rows=self.rows(at, self.effect(at)),
            days=days,
            exploration_rate=rate if rate <= 1.0 else None,
            arm_requests=self.arm_requests(),
        )

    def days(self) -> float:
        def missing(days: float) -> float:
            return self.rows(days, self.effect(days)) - self.traffic.rows_per_day * days

        least = 1e-3
        if missing(LONGEST_DAYS) > 0.0:
            return math.inf
        return least if missing(least) <= 0.0 else float(brentq(missing, least, LONGEST_DAYS, xtol=1e-3))

    def rows(self, days: float, effect: float) -> float:
        """Explored rows of both halves in a hold-out of this length."""
        gate, traffic, assumed = self.experiment.gate, self.traffic, self.assumed
        share = next_share(self.budget, round(days * DAY_MS))
        if share <= 0.0:
            return math.inf
        design = ExploredDesign(traffic.policy_weight, traffic.base_weight, effect, assumed.agreement)
        judged = rows_needed(design, self.shape.outcome, self.lift, gate.margin, (share, 1.0 - assumed.power))
        matched = max(gate.min_matched_rows, gate.min_positives / self.shape.outcome.rate)
        fewest = matched * max(
            traffic.base_weight,
            1.0 / ((1.0 - assumed.agreement) / traffic.policy_weight + assumed.agreement / traffic.base_weight),
        )
        return max(judged, fewest) / traffic.judging_share

    def effect(self, days: float) -> float:
        """The design effect in a hold-out of this length: a user then has more rows or fewer than in those read."""
        return 1.0 + self.shape.pairs * days / self.traffic.days / self.shape.weighted

    def arm_requests(self) -> float:
        """Of each arm; a user has more requests online than explored ones, so more of them are pairs."""
        traffic, unit = self.traffic, self.experiment.experiment.exploration_unit
        thinned = traffic.exploration_rate if unit == "request" else 1.0
        effect = 1.0 + self.shape.pairs * SCREEN_DAYS / traffic.days / thinned
        errors = (self.experiment.gate.error_budget, 1.0 - self.assumed.power)
        return arm_requests_needed(self.shape.outcome, self.lift, effect, errors)
