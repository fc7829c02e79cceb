"""Sample sizes beside simulated power, and at their limits."""

import math

import numpy as np
import pytest
from scipy.special import ndtri

from off_policy.doubly_robust import ModelledSample
from off_policy.evidence_planning import ExpectedOutcome, ExploredDesign, arm_requests_needed, rows_needed
from off_policy.intervals import EvidenceRequirements
from off_policy.logged_bandit import EvaluationError
from off_policy.paired_lift import paired_dr_lift


def test_the_reference_of_50_arms_at_10_percent() -> None:
    """Explored rows a day of both halves for one look at the full error after 14 days: about 47,000."""
    design = ExploredDesign(policy_weight=49 / 0.875, base_weight=8.0)
    judged = rows_needed(design, ExpectedOutcome(0.1), lift=0.1, margin=0.01, errors=(0.05, 0.2))
    assert 2 * judged / 14 == pytest.approx(47_000, rel=0.03)


def test_a_look_that_spends_half_of_the_error_needs_at_most_1_3_times_the_rows() -> None:
    design, outcome = ExploredDesign(56.0, 8.0), ExpectedOutcome(0.1)
    full, half = (rows_needed(design, outcome, 0.1, 0.01, (share, 0.2)) for share in (0.05, 0.025))
    assert 1.2 < half / full <= 1.3


@pytest.mark.parametrize(("agreement", "lift"), [(0.0, 0.3), (0.4, 0.3), (0.8, 0.1)])
def test_the_rows_give_the_power_that_they_are_planned_for(agreement: float, lift: float) -> None:
    """Explored rows of eight arms; a policy that agrees with production in some requests and is better elsewhere."""
    arms, production, rate, margin, error, runs = 8, 0.25, 0.2, 0.02, 0.025, 300
    other = (1 - production) / (arms - 1)
    design = ExploredDesign(1 / other, 1 / production, agreement=agreement)
    n = round(rows_needed(design, ExpectedOutcome(rate), lift, margin, (error, 0.2)))
    rng, passed = np.random.default_rng(5), 0
    for _ in range(runs):
        arm = np.where(rng.random(n) < production, 0, rng.integers(1, arms, n))
        chosen = np.where(rng.random(n) < agreement, 0, rng.integers(1, arms, n))
        better = (arm == chosen) & (arm > 0)
        q = np.where(chosen > 0, rate * (1 + lift / (1 - agreement)), rate)
        rewards = (rng.random(n) < np.where(better, q, rate)).astype(float)
        inverse = np.where(arm > 0, 1 / other, 1 / production)
        logged = np.where(better, q, rate)
        ours = ModelledSample((arm == chosen) * inverse, rewards, logged, q)
        base = ModelledSample((arm == 0) * inverse, rewards, logged, np.full(n, rate))
        found = paired_dr_lift(ours, base, EvidenceRequirements(1 - 2 * error, 100, 30)).relative_interval
        passed += found is not None and found.lower > -margin
    assert passed / runs == pytest.approx(0.8, abs=0.075)


def test_users_who_repeat_multiply_the_rows() -> None:
    outcome = ExpectedOutcome(0.1)
    plain, clustered = (
        rows_needed(ExploredDesign(56, 8, effect), outcome, 0.1, 0.01, (0.05, 0.2)) for effect in (1, 2.5)
    )
    assert clustered == pytest.approx(2.5 * plain)


def test_an_online_arm_needs_the_textbook_sample() -> None:
    """Two proportions of 0.1 and 0.11: the ratio's variance is p_1 q_1 + R² p_0 q_0."""
    reach = ndtri(0.95) + ndtri(0.8)
    expected = reach**2 * (0.11 * 0.89 + 1.1**2 * 0.1 * 0.9) / 0.01**2
    assert arm_requests_needed(ExpectedOutcome(0.1), 0.1, 1.0, (0.05, 0.2)) == pytest.approx(expected)
    assert arm_requests_needed(ExpectedOutcome(0.1), 0.0, 1.0, (0.05, 0.2)) == math.inf


def test_what_is_no_better_than_the_margin_never_passes() -> None:
    design, outcome = ExploredDesign(56, 8), ExpectedOutcome(0.1)
    assert rows_needed(design, outcome, -0.01, 0.01, (0.05, 0.2)) == math.inf
    assert math.isfinite(rows_needed(design, outcome, 0.0, 0.01, (0.05, 0.2)))


def test_rewards_of_another_size_have_their_own_variance() -> None:
    ratings = ExpectedOutcome(3.0, 4.0)
    assert ratings.variance(3.0) == 3.0
    assert ExploredDesign(1, 1).relative_variance(ratings, 0.0) == pytest.approx(2 * 3.0 / 9.0)


@pytest.mark.parametrize(("rate", "size"), [(0.0, 1.0), (math.nan, 1.0), (0.5, 0.4), (1.0, math.inf)])
def test_rewards_that_say_nothing_are_an_error(rate: float, size: float) -> None:
    with pytest.raises(EvaluationError, match="leaves nothing to plan with"):
        ExpectedOutcome(rate, size)
