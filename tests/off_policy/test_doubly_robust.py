"""DM, DR, SN-DR, SWITCH-DR and DRos equal their formulas and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from off_policy.doubly_robust import (
    ModelledSample,
    direct_method,
    doubly_robust,
    dr_optimistic_shrinkage,
    self_normalised_dr,
    switch_dr,
)
from off_policy.estimates import RefusalCode
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import ips, snips

REQUIREMENTS = EvidenceRequirements(min_matched_rows=50, min_positives=10)
N = 400


def sample(zero_model: bool = False) -> ModelledSample:
    rng = np.random.default_rng(11)
    model = np.zeros((2, N)) if zero_model else rng.uniform(0.1, 0.5, size=(2, N))
    return ModelledSample(rng.choice([0.0, 3.0, 8.0], size=N), (rng.random(N) < 0.3).astype(float), model[0], model[1])


def test_formulas() -> None:
    s = sample()
    correction = s.weights * (s.rewards - s.q_logged)
    assert direct_method(s).value == pytest.approx(s.q_policy.mean(), rel=1e-14)
    dr = doubly_robust(s, REQUIREMENTS)
    assert dr.value == pytest.approx((s.q_policy + correction).mean(), rel=1e-13)
    assert dr.standard_error == pytest.approx(np.std(s.q_policy + correction, ddof=1) / math.sqrt(N))
    sndr = self_normalised_dr(s, REQUIREMENTS)
    assert sndr.value == pytest.approx(s.q_policy.mean() + correction.sum() / s.weights.sum(), rel=1e-13)
    switched = np.where(s.weights <= 5, correction, 0.0)
    assert switch_dr(s, 5.0).value == pytest.approx((s.q_policy + switched).mean(), rel=1e-13)
    shrunk = 10 * s.weights / (s.weights**2 + 10) * (s.rewards - s.q_logged)
    assert dr_optimistic_shrinkage(s, 10.0).value == pytest.approx((s.q_policy + shrunk).mean(), rel=1e-13)


def test_a_model_of_zero_leaves_the_model_free_estimators() -> None:
    s = sample(zero_model=True)
    for ours, theirs in (
        (doubly_robust(s, REQUIREMENTS), ips(s.weights, s.rewards, REQUIREMENTS)),
        (self_normalised_dr(s, REQUIREMENTS), snips(s.weights, s.rewards, REQUIREMENTS)),
    ):
        assert ours.value == pytest.approx(theirs.value, rel=1e-13)
        assert ours.standard_error == pytest.approx(theirs.standard_error, rel=2e-3)


def test_limits_of_switch_and_shrinkage() -> None:
    s, dr = sample(), doubly_robust(sample(), REQUIREMENTS).value
    assert switch_dr(s, math.inf).value == pytest.approx(dr, rel=1e-13)
    assert switch_dr(s, 0.0).value == pytest.approx(direct_method(s).value, rel=1e-13)
    assert dr_optimistic_shrinkage(s, 1e12).value == pytest.approx(dr, rel=1e-6)
    assert dr_optimistic_shrinkage(s, 1e-12).value == pytest.approx(direct_method(s).value, rel=1e-6)
    assert switch_dr(s).value == pytest.approx(dr, rel=1e-13), "weights are below sqrt(400)"


def test_biased_estimators_have_no_interval() -> None:
    for estimate in (direct_method(sample()), switch_dr(sample()), dr_optimistic_shrinkage(sample())):
        assert estimate.interval is None
        assert estimate.refusal is not None
        assert estimate.refusal.code is RefusalCode.BIASED_ESTIMATOR
    assert doubly_robust(sample(), REQUIREMENTS).gateable
    assert self_normalised_dr(sample(), REQUIREMENTS).gateable


def test_nothing_matched_leaves_sndr_undefined() -> None:
    s = sample()
    blank = ModelledSample(np.zeros(N), s.rewards, s.q_logged, s.q_policy)
    assert math.isnan(self_normalised_dr(blank, REQUIREMENTS).value)
    assert doubly_robust(blank, REQUIREMENTS).interval is None
