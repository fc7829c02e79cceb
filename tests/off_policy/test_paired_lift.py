"""Paired lifts: formulas, the pay-off of pairing, and the refusals."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from off_policy.doubly_robust import ModelledSample, doubly_robust
from off_policy.estimates import RefusalCode
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import snips
from off_policy.paired_lift import PairedLift, no_lift, paired_dr_lift, paired_snips_lift

REQUIREMENTS = EvidenceRequirements(min_matched_rows=50, min_positives=10)
N = 4000
RNG = np.random.default_rng(5)
ARMS = RNG.integers(4, size=N)
REWARDS = (RNG.random(N) < 0.2 + 0.1 * (ARMS == 1)).astype(float)


def playing(arm: int) -> np.ndarray:
    return np.where(arm == ARMS, 4.0, 0.0)


def delta_method(a: np.ndarray, b: np.ndarray, r: np.ndarray) -> float:
    """SE of SNIPS_A - SNIPS_B from the sample covariance of (a r, a, b r, b), written out."""
    terms = np.stack([a * r, a, b * r, b])
    ar, aw, br, bw = terms.mean(axis=1)
    gradient = np.array([1 / aw, -ar / aw**2, -1 / bw, br / bw**2])
    return math.sqrt(gradient @ np.cov(terms, bias=True) @ gradient / len(r))


@pytest.mark.parametrize("other", [playing(2), playing(1) * (RNG.random(N) < 0.5) + playing(2)])
def test_snips_lift_equals_the_delta_method_with_covariance(other: np.ndarray) -> None:
    lift = paired_snips_lift(playing(1), other, REWARDS, REQUIREMENTS)
    ours, base = snips(playing(1), REWARDS, REQUIREMENTS), snips(other, REWARDS, REQUIREMENTS)
    assert lift.value == pytest.approx(ours.value - base.value, rel=1e-12)
    assert lift.standard_error == pytest.approx(delta_method(playing(1), other, REWARDS), rel=1e-9)
    assert lift.relative == pytest.approx(ours.value / base.value - 1, rel=1e-12)
    assert lift.baseline_value == base.value


def test_disjoint_hits_add_their_variances() -> None:
    lift = paired_snips_lift(playing(1), playing(2), REWARDS, REQUIREMENTS)
    ours = snips(playing(1), REWARDS, REQUIREMENTS).standard_error
    base = snips(playing(2), REWARDS, REQUIREMENTS).standard_error
    assert lift.standard_error == pytest.approx(math.hypot(ours, base), rel=1e-9)
    assert lift.gateable
    assert lift.relative_interval is not None
    assert lift.relative_interval.lower < lift.relative < lift.relative_interval.upper


def test_pairing_pays_where_the_policies_agree() -> None:
    swapped = np.arange(N) % 10 == 0
    mostly = np.where(swapped, playing(2), playing(1))
    lift = paired_snips_lift(mostly, playing(1), REWARDS, REQUIREMENTS)
    alone = snips(playing(1), REWARDS, REQUIREMENTS).standard_error
    assert lift.standard_error < 0.6 * math.hypot(alone, alone)


def test_evidence_is_asked_of_both_sides_and_of_the_difference() -> None:
    strict = EvidenceRequirements(min_matched_rows=50, min_positives=30)
    nothing = paired_snips_lift(playing(1), np.zeros(N), REWARDS, strict)
    assert math.isnan(nothing.value)
    assert nothing.refusal is not None
    assert nothing.refusal.reason.startswith("the baseline: the policy never chooses")
    changed = np.where(np.arange(N) < 150, playing(2), playing(1))
    close = paired_snips_lift(changed, playing(1), REWARDS, strict)
    assert close.interval is None
    assert close.refusal is not None
    assert close.refusal.code is RefusalCode.TOO_FEW_POSITIVES
    assert close.refusal.reason.startswith("rows that the policy")


def test_dr_lift_is_the_mean_of_differences() -> None:
    q = RNG.uniform(0.1, 0.4, size=(N, 4))
    q_logged = q[np.arange(N), ARMS]
    ours = ModelledSample(playing(1), REWARDS, q_logged, q[:, 1])
    base = ModelledSample(playing(2), REWARDS, q_logged, q[:, 2])
    lift = paired_dr_lift(ours, base, REQUIREMENTS)
    difference = q[:, 1] - q[:, 2] + (playing(1) - playing(2)) * (REWARDS - q_logged)
    values = [doubly_robust(s, REQUIREMENTS).value for s in (ours, base)]
    assert lift.value == pytest.approx(difference.mean(), rel=1e-10)
    assert lift.standard_error == pytest.approx(difference.std(ddof=1) / math.sqrt(N), rel=1e-10)
    assert lift.relative == pytest.approx(values[0] / values[1] - 1, rel=1e-10)


def test_a_baseline_without_value_has_no_relative_lift() -> None:
    worthless = np.where(ARMS == 2, 0.0, REWARDS)
    lift = paired_snips_lift(playing(1), playing(2), worthless, REQUIREMENTS)
    assert lift.value > 0
    assert math.isnan(lift.relative)
    assert not lift.gateable


def test_a_policy_has_no_lift_over_itself() -> None:
    lift = no_lift(paired_snips_lift(playing(1), playing(1), REWARDS, REQUIREMENTS), 0.95)
    assert (lift.value, lift.relative, lift.standard_error) == (0.0, 0.0, 0.0)
    assert lift.gateable


def test_round_trip_through_json() -> None:
    for base in (playing(2), np.zeros(N)):
        lift = paired_snips_lift(playing(1), base, REWARDS, REQUIREMENTS)
        text = json.dumps(lift.as_dict(), allow_nan=False)
        assert PairedLift.from_dict(json.loads(text)).as_dict() == lift.as_dict()


def test_too_few_rows_for_dr_are_undefined() -> None:
    one = ModelledSample(np.ones(1), np.ones(1), np.ones(1), np.ones(1))
    assert math.isnan(paired_dr_lift(one, one, REQUIREMENTS).value)


@pytest.mark.parametrize("successes", [1.0, 0.99])
def test_near_certain_success_is_an_answer(successes: float) -> None:
    """Hits that nearly always earn the largest reward have few rows below it, and that is no lack of evidence."""
    rng, arms = np.random.default_rng(2), np.random.default_rng(1).integers(4, size=N)
    rewards = (rng.random(N) < np.where(arms == 1, successes, 0.1)).astype(float)
    weights, base = np.where(arms == 1, 4.0, 0.0), np.where(arms == 2, 4.0, 0.0)
    q = np.full(N, 0.3)
    ours, theirs = ModelledSample(weights, rewards, q, q), ModelledSample(base, rewards, q, q)
    strict = EvidenceRequirements(min_matched_rows=500, min_positives=30)
    for lift in (paired_snips_lift(weights, base, rewards, strict), paired_dr_lift(ours, theirs, strict)):
        assert lift.gateable, lift.refusal
        assert lift.interval is not None
        assert 0.8 < lift.interval.lower < successes - 0.1 < lift.interval.upper


def test_an_answer_depends_on_the_rows_elsewhere_and_not_on_luck() -> None:
    """The same weights with more or fewer positives in the judged rows: both logs answer, or neither does."""
    arms = np.arange(N) % 4
    for elsewhere, answers in ((0.02, True), (0.005, False)):
        for hits in (0, 5, 60):
            rewards = (np.arange(N) // 4 < np.where(arms < 2, hits, elsewhere * N / 4)).astype(float)
            weights, base = (np.where(arms == arm, 4.0, 0.0) for arm in (0, 1))
            lift = paired_snips_lift(weights, base, rewards, EvidenceRequirements(min_positives=30))
            assert (lift.interval is not None) == answers
