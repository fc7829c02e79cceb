"""An outcome of an arm: held, harmed, or undecided."""

from __future__ import annotations

import math

import pytest

from off_policy.arm_guardrails import GuardrailState, guardrail_state


@pytest.mark.parametrize(
    ("lower", "upper", "state"),
    [
        (-0.01, 0.03, GuardrailState.HELD),
        (0.02, 0.03, GuardrailState.HELD),
        (-0.011, 0.03, GuardrailState.UNDECIDED),
        (-0.3, 0.0, GuardrailState.UNDECIDED),
        (-0.3, -0.001, GuardrailState.HARMED),
        (-0.005, -0.001, GuardrailState.HARMED),
        (math.nan, math.nan, GuardrailState.UNDECIDED),
    ],
)
def test_the_bounds_of_the_lift_decide(lower: float, upper: float, state: GuardrailState) -> None:
    assert guardrail_state(lower, upper, 0.01) is state
