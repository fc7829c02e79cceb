"""How the comparison of an online experiment's arms is printed for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from event_schemas.instant import utc_text
from off_policy.arm_guardrails import GuardrailState
from off_policy.sample_ratio import LEAST_P
from trimtab.tables import figures, wrapped

if TYPE_CHECKING:
    from rich.table import Table

    from learner.experiment_look import ExperimentLook
    from off_policy.arm_results import ArmComparison, ArmOutcome
    from off_policy.estimates import Interval
    from off_policy.sequential_reading import ArmReading, OutcomeReading

LEFT_OUT_WORDS = {
    "explored_or_control": "explored or in CONTROL",
    "undeclared_arm": "of an arm that the experiment does not have",
    "no_sampling_rate": "without a sampling rate",
    "no_user": "without a user",
    "several_arms": "of users in several arms",
    "closed_early": "closed early",
}
OF_OUTCOME = {"unobserved": "without {}", "no_unit": "in no counting unit of {}"}


def look_parts(look: ExperimentLook) -> Iterator[Table | str]:
    """What was compared, found and left out, and what it says of each arm, for `tables.show`."""
    found, question = look.found, look.found.question
    start, end = utc_text(question.start), utc_text(question.end)
    yield from _lines(f"experiment {question.id}, requests from {start} to before {end}")
    if found.seen is not None:
        first, last = map(utc_text, found.seen)
        yield from _lines(f"counted: requests from {first} to {last}")
    yield from _lines(f"left out: {left_out_in_words(found.left_out)}")
    yield from arm_parts(found.comparison, look.arms)
    yield from cohort_parts(found.cohorts)
    yield from guardrail_lines(look.guardrails, look.rule.margin)
    for name, arm in look.arms.items():
        yield from _lines(f"{name} is {arm.state.value} at this look: {'; '.join(arm.reasons)}")


def arm_parts(comparison: ArmComparison, readings: Mapping[str, ArmReading]) -> Iterator[Table | str]:
    """Users per arm, and a table for each outcome; below it, why an arm has no interval.

    `readings` has the intervals that hold at any look, by arm.
    """
    arms = [
        (name, f"{arm.share:.1%}", f"{arm.users:,}", f"{arm.rows:,}", f"{arm.requests:,.0f}")
        for name, arm in comparison.arms.items()
    ]
    yield figures("arms", ("arm", "share", "users", "logged", "requests"), arms)
    yield from _lines(_split(comparison.sample_ratio_p))
    for label in comparison.labels:
        outcomes = {name: arm.outcomes[label.name] for name, arm in comparison.arms.items()}
        found = {name: reading.outcomes[label.name] for name, reading in readings.items()}
        rows = [_cells(name, outcome, found.get(name)) for name, outcome in outcomes.items()]
        title = f"{label.name} per {label.per} ({label.role}), compared with {comparison.control}"
        yield figures(title, ("arm", "mean", "difference", "lift", "one look", "any look"), rows)
        for name, reading in found.items():
            refused = outcomes[name].refusal
            if refused is not None:
                yield from _lines(f"no interval for {name}: {refused.reason}", "  ")
            elif reading.refusal is not None:
                yield from _lines(f"no interval at any look for {name}: {reading.refusal.reason}", "  ")


def cohort_parts(cohorts: Mapping[str, ArmComparison]) -> Iterator[Table | str]:
    """The lifts inside each cohort, as one table; nothing without cohorts."""
    rows = [
        (cohort, label.name, name, f"{arm.users:,}", _number(outcome.lift, "+.1%"), _interval(outcome.lift_interval))
        for cohort, comparison in cohorts.items()
        for label in comparison.labels
        for name, arm in comparison.arms.items()
        if name != comparison.control and (outcome := arm.outcomes[label.name])
    ]
    if rows:
        yield figures(
            "lifts by cohort of the first request", ("cohort", "outcome", "arm", "users", "lift", "one look"), rows
        )


def guardrail_lines(states: Mapping[str, Mapping[str, str]], margin: float) -> Iterator[str]:
    """A sentence for each guardrail and arm; nothing without guardrails."""
    words: dict[str, str] = {
        GuardrailState.HELD: f"holds: a loss of more than {margin:.1%} is ruled out",
        GuardrailState.HARMED: "is harmed",
        GuardrailState.UNDECIDED: f"is undecided: a loss of more than {margin:.1%} is not ruled out",
    }
    for guardrail, arms in states.items():
        for arm, state in arms.items():
            yield from _lines(f"guardrail {guardrail} in {arm} {words[state]}")


def _lines(text: str, indent: str = "") -> list[str]:
    return wrapped(text, Console().width, indent)


def left_out_in_words(left_out: Mapping[str, int]) -> str:
    """The decisions left out, by reason; `nothing` if there are none."""
    return ", ".join(_told(left_out)) or "nothing"


def _told(left_out: Mapping[str, int]) -> Iterator[str]:
    for reason, count in left_out.items():
        kind, of_outcome, name = reason.partition(":")
        words = OF_OUTCOME[kind].format(name) if of_outcome else LEFT_OUT_WORDS[reason]
        yield f"{count:,} {words}"


def _split(p: float | None) -> str:
    if p is None:
        return "users per arm: too few to check the split"
    if p < LEAST_P:
        return f"users per arm do not fit the shares (p = {p:.1g}): do not trust these means before you know why"
    return f"users per arm fit the shares (p = {p:.2g})"


def _cells(arm: str, outcome: ArmOutcome, reading: OutcomeReading | None) -> tuple[str, ...]:
    if reading is None:  # the control
        return (arm, _number(outcome.mean), "", "", "", "")
    return (
        arm,
        _number(outcome.mean),
        _number(outcome.delta, "+.3g"),
        _number(outcome.lift, "+.1%"),
        _interval(outcome.lift_interval),
        _interval(reading.interval),
    )


def _interval(interval: Interval | None) -> str:
    return "none" if interval is None else f"[{interval.lower:+.1%}, {interval.upper:+.1%}]"


def _number(value: float, form: str = ".4g") -> str:
    return "undefined" if math.isnan(value) else f"{value:{form}}"
