"""What looks say of arms: who is superior, harmed or neither, and how the error budget is shared."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from off_policy.arm_guardrails import GuardrailState
from off_policy.arm_results import ArmComparison, ArmOutcome, ArmResult, EffectiveUsers, OutcomeLabel
from off_policy.confidence_sequence import ArmMean, lift_bounds
from off_policy.estimates import RefusalCode
from off_policy.logged_bandit import EvaluationError
from off_policy.sequential_reading import FEWEST_POSITIVE, FEWEST_USERS, ArmState, SequentialRule, read_arms

USERS = EffectiveUsers(5_000.0, 2_000.0, 4_000.0)
ROLES = {"repin": "optimise", "save": "optimise", "visits": "guardrail", "hides": "signal"}
RULE = SequentialRule(("visits",), error=0.05, margin=0.02)


def outcome(mean: float, error: float = 0.0003, effective: EffectiveUsers = USERS) -> ArmOutcome:
    return ArmOutcome(mean, error, 50_000, 5_000, effective)


def comparison(
    arms: dict[str, dict[str, ArmOutcome]], p: float | None = 0.5, control: float = 0.1, error: float = 0.0003
) -> ArmComparison:
    labels = tuple(OutcomeLabel(name, role, "request", 1.0) for name, role in ROLES.items())
    base = {name: outcome(control, error) for name in ROLES}
    results = {
        name: ArmResult(5_000, 50_000, 50_000.0, 0.5, base | outcomes, ())
        for name, outcomes in {"control": {}, **arms}.items()
    }
    return ArmComparison("control", labels, results, p)


def bounds_of(mean: float, error: float) -> tuple[float, float]:
    """Those of the lift over a control of 0.1."""
    arm, control = (ArmMean(np.asarray(each), np.asarray(0.0003**2), np.asarray(5_000.0)) for each in (mean, 0.1))
    lower, upper = lift_bounds(arm, control, error)
    return float(lower), float(upper)


def test_better_on_one_objective_and_no_worse_on_the_rest_is_superior() -> None:
    reading = read_arms(comparison({"new": {"repin": outcome(0.105)}}), RULE)["new"]
    assert (reading.state, reading.reasons) == (ArmState.SUPERIOR, ("repin is superior",))
    assert reading.outcomes["visits"].state is GuardrailState.HELD
    assert not reading.outcomes["save"].superior
    json.dumps(reading.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("changes", "p", "why"),
    [
        ({"repin": outcome(0.1001)}, 0.5, "no objective is superior"),
        ({"repin": outcome(0.105), "save": outcome(0.0991, 0.001)}, 0.5, "save: a loss of more than the margin"),
        ({"repin": outcome(0.105), "visits": outcome(0.1, 0.002)}, 0.5, "visits: a loss of more than the margin"),
        ({"repin": outcome(0.105)}, 1e-6, "the users do not fit the shares (p = 1e-06)"),
        ({"repin": outcome(0.105)}, None, "too few users to check the split"),
        ({"visits": outcome(0.105), "hides": outcome(0.11)}, 0.5, "no objective is superior"),
    ],
)
def test_what_keeps_an_arm_from_being_superior(changes: dict[str, ArmOutcome], p: float | None, why: str) -> None:
    reading = read_arms(comparison({"new": changes}, p), RULE)["new"]
    assert reading.state is ArmState.UNDECIDED
    assert any(why in reason for reason in reading.reasons), reading.reasons


@pytest.mark.parametrize("name", ["repin", "save", "visits"])
def test_harm_outweighs_superiority_and_a_bad_split(name: str) -> None:
    changes = {"repin": outcome(0.105)} | {name: outcome(0.097)}
    reading = read_arms(comparison({"new": changes}, p=None), RULE)["new"]
    assert (reading.state, reading.reasons) == (ArmState.HARMED, (f"{name} is harmed",))


def test_a_signal_decides_nothing() -> None:
    changes = {"repin": outcome(0.105), "hides": outcome(0.05)}
    assert read_arms(comparison({"new": changes}), RULE)["new"].state is ArmState.SUPERIOR


def test_a_guardrail_that_nothing_counts_stays_undecided() -> None:
    rule = replace(RULE, guardrails=("unknown",))
    reading = read_arms(comparison({"new": {"repin": outcome(0.105)}}), rule)["new"]
    assert reading.state is ArmState.UNDECIDED
    assert reading.reasons == ("unknown: a loss of more than the margin is not ruled out",)


def test_harm_in_a_cohort_stops_adoption_and_withdraws_nothing() -> None:
    whole = comparison({"new": {"repin": outcome(0.105)}})
    cohorts = {"core": whole, "new users": comparison({"new": {"visits": outcome(0.09)}})}
    reading = read_arms(whole, RULE, cohorts)["new"]
    assert reading.state is ArmState.UNDECIDED
    assert reading.harmed_cohorts == (("new users", "visits"),)
    assert reading.reasons == ("visits is harmed in cohort new users",)


def test_the_budget_is_shared_by_arms_objectives_and_outcomes() -> None:
    """An arm just beyond its bound is superior alone, and not beside a second arm, which pays for it."""

    edge = next(each for each in np.arange(0.1, 0.11, 1e-6).tolist() if bounds_of(each, 0.05 / 2)[0] > 0.0)
    new = {"repin": outcome(edge)}
    assert read_arms(comparison({"new": new}), RULE)["new"].state is ArmState.SUPERIOR
    assert read_arms(comparison({"new": new, "other": {}}), RULE)["new"].state is ArmState.UNDECIDED
    edge = next(each for each in np.arange(0.1, 0.09, -1e-6).tolist() if bounds_of(each, 0.05 / 3)[1] < 0.0)
    new = {"save": outcome(edge)}
    assert read_arms(comparison({"new": new}), RULE)["new"].state is ArmState.HARMED
    assert read_arms(comparison({"new": new, "other": {}}), RULE)["new"].state is ArmState.UNDECIDED


@pytest.mark.parametrize(
    ("effective", "code"),
    [
        (EffectiveUsers(FEWEST_USERS - 1.0, 60.0, 60.0), RefusalCode.TOO_FEW_UNITS),
        (EffectiveUsers(500.0, FEWEST_POSITIVE - 1.0, 400.0), RefusalCode.TOO_FEW_POSITIVES),
        (EffectiveUsers(500.0, 400.0, FEWEST_POSITIVE - 1.0), RefusalCode.TOO_FEW_NEGATIVES),
        (EffectiveUsers(math.nan, 60.0, 60.0), RefusalCode.TOO_FEW_UNITS),
    ],
)
def test_nothing_is_read_before_the_burn_in(effective: EffectiveUsers, code: RefusalCode) -> None:
    changes = {"repin": outcome(0.2, effective=effective), "save": outcome(0.01, effective=effective)}
    reading = read_arms(comparison({"new": changes}), RULE)["new"]
    assert reading.state is ArmState.UNDECIDED
    for name in changes:
        found = reading.outcomes[name]
        assert found.refusal is not None
        assert (found.interval, found.refusal.code) == (None, code)


def test_a_control_that_may_be_zero_has_no_lift() -> None:
    changes = {name: outcome(0.01) for name in ROLES}
    reading = read_arms(comparison({"new": changes}, control=0.001, error=0.001), RULE)["new"]
    refusal = reading.outcomes["repin"].refusal
    assert refusal is not None
    assert refusal.code is RefusalCode.UNDEFINED


@pytest.mark.parametrize("wrong", [{"error": 0.0}, {"error": 0.5}, {"margin": -0.1}, {"level": 1.0}])
def test_a_rule_beyond_its_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(EvaluationError):
        SequentialRule(**wrong)
