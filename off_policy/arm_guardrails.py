"""Whether the arms of an online experiment keep its guardrails: non-inferiority to the control, within a margin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from off_policy.arm_results import ArmComparison, ArmOutcome


class GuardrailState(StrEnum):
    """What an interval says of one guardrail in one arm."""

    HELD = "held"
    """The lift's lower bound is not below −margin."""
    HARMED = "harmed"
    """Its upper bound is below zero."""
    UNDECIDED = "undecided"
    """Neither, or there is no interval."""


def guardrail_state(outcome: ArmOutcome, margin: float) -> GuardrailState:
    """The state of one guardrail, by the interval of its lift; `margin` is a relative loss in [0, 1].

    A small loss that is certain, within the margin, counts as harm: people should see it before they decide.
    """
    interval = outcome.lift_interval
    if interval is None:
        return GuardrailState.UNDECIDED
    if interval.upper < 0.0:
        return GuardrailState.HARMED
    return GuardrailState.HELD if interval.lower >= -margin else GuardrailState.UNDECIDED


def guardrail_states(
    comparison: ArmComparison, guardrails: Sequence[str], margin: float
) -> Mapping[str, Mapping[str, GuardrailState]]:
    """Guardrail → arm → state, for all arms but the control; one that was not compared is undecided everywhere."""
    others = {name: arm for name, arm in comparison.arms.items() if name != comparison.control}
    return {
        guardrail: {
            name: guardrail_state(arm.outcomes[guardrail], margin)
            if guardrail in arm.outcomes
            else GuardrailState.UNDECIDED
            for name, arm in others.items()
        }
        for guardrail in guardrails
    }
