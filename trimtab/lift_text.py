"""Lifts in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from learner.judgement import ServingComparison
    from off_policy.paired_lift import PairedLift


def lift_in_words(lift: PairedLift) -> str:
    """The relative lift with its interval; without one, why there is none."""
    interval = lift.relative_interval
    if lift.gateable and interval is not None:
        return f"{lift.relative:+.1%} [{interval.lower:+.1%}, {interval.upper:+.1%}]"
    return lift.refusal.reason if lift.refusal is not None else "undefined"


def serving_lines(found: ServingComparison) -> Iterator[str]:
    """Which checkpoint is serving, and the lifts over it: of all requests, and of each cohort."""
    yield found.detail
    yield from _lines(found.lifts, "")
    for cohort, lifts in found.cohort_lifts.items():
        yield from _lines(lifts, f" in {cohort}")


def _lines(lifts: Mapping[str, PairedLift], where: str) -> Iterator[str]:
    for objective, lift in lifts.items():
        yield f"lift of {objective} over it{where}: {lift_in_words(lift)}"
