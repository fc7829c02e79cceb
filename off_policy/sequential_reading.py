"""What an online experiment shows at any look: superior, harmed or undecided arms, with one error budget for all looks.

An arm is *superior* if at least one objective is better than in the control, every other objective and every guardrail
is not worse than −margin, nothing is harmed, also in no cohort, and the users fit the shares. It is *harmed* if an
objective or a guardrail is worse. Bounds are those of `confidence_sequence`; with A arms besides the control, K
objectives, W = K + guardrails, C cohorts and the budget e, they err with probability

    e / (A K)     a lower bound that shows superiority: any of K may do it, in any arm, so all K A pay (Bonferroni)
    e / A         a lower bound that shows non-inferiority: all must hold, so none pays for the others
                  (intersection-union, Berger 1982)
    e / (A W)     an upper bound that shows harm: any of W may do it
    e / (A W C)   the same in one of C cohorts; it keeps an arm from being superior, and does not make it harmed

So an arm without any effect is declared superior with probability e at most, and so is one that is worse than −margin
on an objective or guardrail; an experiment without harm is declared harmed with probability e at most. These hold over
all looks together, and whatever makes somebody stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from off_policy.arm_guardrails import GuardrailState, guardrail_state
from off_policy.arm_results import ArmComparison, ArmOutcome
from off_policy.confidence_sequence import ArmMean, lift_bounds
from off_policy.estimates import Interval, Refusal, RefusalCode, interval_as_dict, refusal_as_dict
from off_policy.logged_bandit import EvaluationError
from off_policy.sample_ratio import LEAST_P

METHOD = "confidence-sequence"
OPTIMISED = "optimise"
FEWEST_USERS, FEWEST_POSITIVE = 100, 50
"""The burn-in: before both arms have so many effective users, and so many with a positive outcome and with one below
the clip, nothing is read, because sums of fewer are not near enough to normal for tails this small."""


class ArmState(StrEnum):
    """What a look says of an arm."""

    SUPERIOR = "superior"
    HARMED = "harmed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class SequentialRule:
    """How an experiment is read.

    guardrails  the outcomes besides the objectives that must not get worse
    error       the budget, in (0, 0.5)
    margin      largest relative loss that is tolerated, in [0, 1]
    level       coverage of the intervals that are shown, in (0, 1); decisions have bounds of their own

    Raises EvaluationError for numbers outside.
    """

    guardrails: tuple[str, ...] = ()
    error: float = 0.05
    margin: float = 0.01
    level: float = 0.95

    def __post_init__(self) -> None:
        if not (0.0 < self.error < 0.5 and 0.0 <= self.margin <= 1.0 and 0.0 < self.level < 1.0):
            raise EvaluationError(
                f"error {self.error}, margin {self.margin}, level {self.level}",
                fix="use an error in (0, 0.5), a margin in [0, 1] and a level in (0, 1)",
            )


@dataclass(frozen=True, slots=True)
class OutcomeReading:
    """One outcome in one arm: the interval of its lift that holds at every look, or why there is none; what it says.

    `superior` is False for what is not an objective.
    """

    interval: Interval | None
    refusal: Refusal | None
    superior: bool
    state: GuardrailState

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "interval": interval_as_dict(self.interval),
            "refusal": refusal_as_dict(self.refusal),
            "superior": self.superior,
            "state": self.state.value,
        }


@dataclass(frozen=True, slots=True)
class ArmReading:
    """One arm: its state, why it is not another one, and its outcomes by name.

    `harmed_cohorts` has (cohort, outcome) pairs.
    """

    state: ArmState
    reasons: tuple[str, ...]
    outcomes: Mapping[str, OutcomeReading]
    harmed_cohorts: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "state": self.state.value,
            "reasons": list(self.reasons),
            "outcomes": {name: each.as_dict() for name, each in self.outcomes.items()},
            "harmed_cohorts": [list(each) for each in self.harmed_cohorts],
        }


@dataclass(frozen=True, slots=True)
class _Shares:
    """The error of each kind of bound."""

    superior: float
    not_inferior: float
    harmed: float
    harmed_cohort: float

    @classmethod
    def of(cls, error: float, arms: int, objectives: int, watched: int, cohorts: int) -> _Shares:
        each = error / arms
        harmed = each / max(watched, 1)
        return cls(each / max(objectives, 1), each, harmed, harmed / max(cohorts, 1))


def read_arms(
    comparison: ArmComparison, rule: SequentialRule, cohorts: Mapping[str, ArmComparison] | None = None
) -> Mapping[str, ArmReading]:
    """What this look says of every arm but the control; `cohorts` has the same comparison inside each cohort.

    The states hold over all looks together only if each look has all that the looks before it had.
    """
    parts = {} if cohorts is None else cohorts
    objectives = [label.name for label in comparison.labels if label.role == OPTIMISED]
    watched = [*objectives, *(name for name in rule.guardrails if name not in objectives)]
    others = [name for name in comparison.arms if name != comparison.control]
    shares = _Shares.of(rule.error, len(others), len(objectives), len(watched), len(parts))
    reader = _Reader(rule, shares, objectives, watched, parts)
    return {name: reader.arm(comparison, name) for name in others}


@dataclass(frozen=True, slots=True)
class _Reader:
    rule: SequentialRule
    shares: _Shares
    objectives: Sequence[str]
    watched: Sequence[str]
    cohorts: Mapping[str, ArmComparison] = field(default_factory=dict)

    def arm(self, comparison: ArmComparison, name: str) -> ArmReading:
        pairs = _pairs(comparison, name)
        outcomes = {outcome: self._outcome(outcome, *pair) for outcome, pair in pairs.items()}
        cohorts = tuple(self._harmed_cohorts(name))
        harmed = [each for each in self.watched if _state(outcomes, each) is GuardrailState.HARMED]
        if harmed:
            return ArmReading(ArmState.HARMED, tuple(f"{each} is harmed" for each in harmed), outcomes, cohorts)
        doubts = tuple(self._doubts(comparison, outcomes, cohorts))
        if doubts:
            return ArmReading(ArmState.UNDECIDED, doubts, outcomes, cohorts)
        better = [each for each in self.objectives if outcomes[each].superior]
        reasons = tuple(f"{each} is superior" for each in better)
        return ArmReading(ArmState.SUPERIOR, reasons, outcomes, cohorts)

    def _outcome(self, name: str, arm: ArmOutcome, control: ArmOutcome) -> OutcomeReading:
        refusal = _burning_in(arm, control)
        if refusal is not None:
            return OutcomeReading(None, refusal, superior=False, state=GuardrailState.UNDECIDED)
        shown = _bounds(arm, control, (1.0 - self.rule.level) / 2.0)
        if not np.isfinite(shown).all():
            undefined = Refusal(RefusalCode.UNDEFINED, "the control's mean may be zero, so there is no relative lift")
            return OutcomeReading(None, undefined, superior=False, state=GuardrailState.UNDECIDED)
        lower, upper = _bounds(arm, control, self.shares.not_inferior)[0], _bounds(arm, control, self.shares.harmed)[1]
        better = name in self.objectives and _bounds(arm, control, self.shares.superior)[0] > 0.0
        state = guardrail_state(lower, upper, self.rule.margin)
        return OutcomeReading(Interval(*shown, self.rule.level, METHOD), None, superior=better, state=state)

    def _doubts(
        self,
        comparison: ArmComparison,
        outcomes: Mapping[str, OutcomeReading],
        cohorts: Sequence[tuple[str, str]],
    ) -> list[str]:
        found = [f"{outcome} is harmed in cohort {cohort}" for cohort, outcome in cohorts]
        p = comparison.sample_ratio_p
        if p is None or p < LEAST_P:
            told = (
                "there are too few users to check the split"
                if p is None
                else f"the users do not fit the shares (p = {p:.1g})"
            )
            found.append(told)
        if not any(each.superior for each in outcomes.values()):
            found.append("no objective is superior")
        for name in self.watched:
            if _state(outcomes, name) is GuardrailState.UNDECIDED:
                missing = outcomes[name].refusal if name in outcomes else None
                told = "a loss of more than the margin is not ruled out" if missing is None else missing.reason
                found.append(f"{name}: {told}")
        return found

    def _harmed_cohorts(self, arm: str) -> list[tuple[str, str]]:
        return [
            (cohort, name)
            for cohort, comparison in self.cohorts.items()
            for name, pair in _pairs(comparison, arm).items()
            if name in self.watched
            and _burning_in(*pair) is None
            and _bounds(*pair, self.shares.harmed_cohort)[1] < 0.0
        ]


def _pairs(comparison: ArmComparison, arm: str) -> dict[str, tuple[ArmOutcome, ArmOutcome]]:
    control = comparison.arms[comparison.control].outcomes
    return {name: (outcome, control[name]) for name, outcome in comparison.arms[arm].outcomes.items()}


def _state(outcomes: Mapping[str, OutcomeReading], name: str) -> GuardrailState:
    return outcomes[name].state if name in outcomes else GuardrailState.UNDECIDED


def _burning_in(arm: ArmOutcome, control: ArmOutcome) -> Refusal | None:
    """What is missing before an outcome is read."""
    for side, outcome in (("the arm", arm), ("the control", control)):
        found = outcome.effective
        if not found.all >= FEWEST_USERS:
            reason = f"{side}: fewer than {FEWEST_USERS} users (worth {found.all:.1f} equally active ones)"
            return Refusal(RefusalCode.TOO_FEW_UNITS, reason)
        if not found.positive >= FEWEST_POSITIVE:
            reason = f"{side}: fewer than {FEWEST_POSITIVE} users with a positive outcome (worth {found.positive:.1f})"
            return Refusal(RefusalCode.TOO_FEW_POSITIVES, reason)
        if not found.below_clip >= FEWEST_POSITIVE:
            reason = f"{side}: fewer than {FEWEST_POSITIVE} users below the clip (worth {found.below_clip:.1f})"
            return Refusal(RefusalCode.TOO_FEW_NEGATIVES, reason)
    return None


def _bounds(arm: ArmOutcome, control: ArmOutcome, error: float) -> tuple[float, float]:
    lower, upper = lift_bounds(_mean(arm), _mean(control), error)
    return float(lower), float(upper)


def _mean(outcome: ArmOutcome) -> ArmMean:
    return ArmMean(*map(np.asarray, (outcome.mean, outcome.mean_error**2, outcome.effective.all)))
