"""Whether an arm of an online experiment keeps to an outcome: non-inferiority to the control, within a margin."""

from __future__ import annotations

from enum import StrEnum


class GuardrailState(StrEnum):
    """What the bounds of its lift say of one outcome in one arm."""

    HELD = "held"
    """The lift's lower bound is not below −margin."""
    HARMED = "harmed"
    """Its upper bound is below zero."""
    UNDECIDED = "undecided"
    """Neither, or there are no bounds."""


def guardrail_state(lower: float, upper: float, margin: float) -> GuardrailState:
    """The state by the bounds of the lift, NaN if there are none; `margin` is a relative loss in [0, 1].

    A small loss that is certain, within the margin, counts as harm: people should see it before they decide.
    """
    if upper < 0.0:
        return GuardrailState.HARMED
    return GuardrailState.HELD if lower >= -margin else GuardrailState.UNDECIDED
