"""Guardrails of an experiment: held, harmed, or undecided."""

from __future__ import annotations

import math

import numpy as np
import pytest

from off_policy.arm_guardrails import GuardrailState, guardrail_state, guardrail_states
from off_policy.arm_results import ArmOutcome
from off_policy.estimates import Interval
from tests.off_policy.arm_worlds import compared, draw_log


def outcome(lower: float, upper: float) -> ArmOutcome:
    return ArmOutcome(0.1, 0.01, 100, 50, lift_interval=Interval(lower, upper, 0.95, "t"))


@pytest.mark.parametrize(
    ("lower", "upper", "state"),
    [
        (-0.01, 0.03, GuardrailState.HELD),
        (0.02, 0.03, GuardrailState.HELD),
        (-0.011, 0.03, GuardrailState.UNDECIDED),
        (-0.3, 0.0, GuardrailState.UNDECIDED),
        (-0.3, -0.001, GuardrailState.HARMED),
        (-0.005, -0.001, GuardrailState.HARMED),
    ],
)
def test_the_interval_of_the_lift_decides(lower: float, upper: float, state: GuardrailState) -> None:
    assert guardrail_state(outcome(lower, upper), 0.01) is state


def test_no_interval_decides_nothing() -> None:
    assert guardrail_state(ArmOutcome(math.nan, math.nan, 0, 0), 0.01) is GuardrailState.UNDECIDED


def test_every_arm_but_the_control_has_a_state_for_every_guardrail() -> None:
    log = draw_log(900, "user", 1.0, np.random.default_rng(5))
    states = guardrail_states(compared(log, "request", "session"), ["session", "unknown"], 0.5)
    assert states == {
        "session": {"more": GuardrailState.HELD},
        "unknown": {"more": GuardrailState.UNDECIDED},
    }
