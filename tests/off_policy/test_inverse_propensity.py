"""IPS, SNIPS, clipped IPS and Reward@HIT equal their formulas, and refuse what they must."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from off_policy.estimates import RefusalCode
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import clipped_ips, default_threshold, ips, reward_at_hit, snips

REQUIREMENTS = EvidenceRequirements(min_matched_rows=50, min_positives=10)
RNG = np.random.default_rng(3)
WEIGHTS = RNG.choice([0.0, 2.0, 5.0], size=500)
REWARDS = (RNG.random(500) < 0.3).astype(float)


def test_ips_is_the_mean_of_weighted_rewards() -> None:
    estimate = ips(WEIGHTS, REWARDS, REQUIREMENTS)
    terms = WEIGHTS * REWARDS
    assert estimate.value == pytest.approx(terms.mean(), rel=1e-14)
    assert estimate.standard_error == pytest.approx(terms.std(ddof=1) / math.sqrt(500), rel=1e-12)
    assert estimate.gateable


def test_snips_has_the_delta_method_error() -> None:
    estimate = snips(WEIGHTS, REWARDS, REQUIREMENTS)
    value = (WEIGHTS * REWARDS).sum() / WEIGHTS.sum()
    variance = (WEIGHTS**2 * (REWARDS - value) ** 2).sum() / WEIGHTS.sum() ** 2
    assert estimate.value == pytest.approx(value, rel=1e-14)
    assert estimate.standard_error == pytest.approx(math.sqrt(variance), rel=1e-12)
    assert estimate.interval is not None
    assert estimate.interval.lower < value < estimate.interval.upper


def test_snips_does_not_care_about_the_scale_of_the_weights() -> None:
    one, other = snips(WEIGHTS, REWARDS, REQUIREMENTS), snips(7 * WEIGHTS, REWARDS, REQUIREMENTS)
    assert one.value == pytest.approx(other.value, rel=1e-13)
    assert one.standard_error == pytest.approx(other.standard_error, rel=1e-13)


def test_clipping_only_lowers_and_is_never_gated_on() -> None:
    clipped = clipped_ips(WEIGHTS, REWARDS, threshold=3.0)
    assert clipped.value == pytest.approx((np.minimum(WEIGHTS, 3) * REWARDS).mean())
    assert clipped.interval is None
    assert clipped.refusal is not None
    assert clipped.refusal.code is RefusalCode.BIASED_ESTIMATOR
    assert default_threshold(400) == 20.0
    assert clipped_ips(WEIGHTS, REWARDS).value == pytest.approx((WEIGHTS * REWARDS).mean())


def test_reward_at_hit_equals_snips_under_one_propensity() -> None:
    weights = np.where(RNG.random(500) < 0.4, 49.0, 0.0)
    hit = reward_at_hit(weights, REWARDS, True, REQUIREMENTS)
    assert hit.value == pytest.approx(snips(weights, REWARDS, REQUIREMENTS).value, rel=1e-13)
    assert hit.interval is not None
    assert hit.interval.method == "clopper-pearson"
    assert hit.gateable


def test_reward_at_hit_below_the_minimum_has_an_exact_interval_that_decides_nothing() -> None:
    weights = np.where(np.arange(500) < 37, 80.0, 0.0)
    hit = reward_at_hit(weights, np.zeros(500), True, REQUIREMENTS)
    assert hit.interval is not None
    assert hit.interval.method == "clopper-pearson"
    assert hit.interval.upper == pytest.approx(0.0949, abs=1e-4)
    assert not hit.gateable


@pytest.mark.parametrize("failures", [0, 2])
def test_near_certain_success_at_the_hits_is_an_answer(failures: int) -> None:
    """Li et al. 2011: of the hits alone; no reward below the largest is needed for Clopper and Pearson's interval."""
    n = 800
    hits = np.arange(n) % 4 == 0
    rewards = np.where(hits, 1.0, np.arange(n) % 8 == 1)
    rewards[np.flatnonzero(hits)[:failures]] = 0.0
    found = reward_at_hit(np.where(hits, 4.0, 0.0), rewards, True, EvidenceRequirements())
    assert found.gateable
    assert found.value == (200 - failures) / 200
    assert found.interval is not None
    expected = binomtest(200 - failures, 200).proportion_ci(0.95, "exact")
    assert (found.interval.lower, found.interval.upper) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_reward_at_hit_with_uneven_propensities_is_refused() -> None:
    hit = reward_at_hit(WEIGHTS, REWARDS, True, REQUIREMENTS)
    assert hit.value == pytest.approx(REWARDS[WEIGHTS > 0].mean())
    assert hit.interval is None
    assert hit.refusal is not None
    assert hit.refusal.code is RefusalCode.UNEVEN_PROPENSITIES


def test_reward_at_hit_of_a_stochastic_policy_is_undefined_unless_weights_are_even() -> None:
    hit = reward_at_hit(WEIGHTS, REWARDS, False, REQUIREMENTS)
    assert math.isnan(hit.value)
    assert hit.refusal is not None
    assert hit.refusal.code is RefusalCode.UNDEFINED
    assert reward_at_hit(np.ones(500), REWARDS, False, REQUIREMENTS).gateable


def test_counts_are_no_hit_rates() -> None:
    hit = reward_at_hit(np.ones(500), 2 * REWARDS, True, REQUIREMENTS)
    assert hit.refusal is not None
    assert hit.refusal.code is RefusalCode.NOT_BINARY


@pytest.mark.parametrize("rows", [0, 1, 20])
def test_nothing_matched_is_undefined_and_no_error(rows: int) -> None:
    nothing = np.zeros(rows)
    for estimate in (
        snips(nothing, nothing, REQUIREMENTS),
        reward_at_hit(nothing, nothing, True, REQUIREMENTS),
    ):
        assert math.isnan(estimate.value)
        assert estimate.refusal is not None
        assert estimate.refusal.code is RefusalCode.TOO_FEW_MATCHED_ROWS
    assert ips(nothing, nothing, REQUIREMENTS).interval is None
