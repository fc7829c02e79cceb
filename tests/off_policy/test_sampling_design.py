"""Standard errors by unit: correlated sessions are covered as promised, independent rows as before."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.doubly_robust import ModelledSample, doubly_robust
from off_policy.estimates import RefusalCode
from off_policy.importance_weights import evidence_of
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import clipped_ips, ips, reward_at_hit, snips
from off_policy.paired_lift import paired_dr_lift, paired_snips_lift
from off_policy.sampling_design import BY_ROW, FEW, SamplingDesign, UnitRows, inner

REQUIREMENTS = EvidenceRequirements(0.95, 50, 5)
SESSIONS, LENGTH = 150, 6
UNITS = np.repeat(np.arange(SESSIONS), LENGTH)
VALUES = (0.3, 0.36)
"""True values of two arms, each drawn with probability 1/2."""


def session_log(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(arms, rewards): sessions have moods, so the rewards of one session are alike."""
    mood = np.repeat(rng.choice([-0.25, 0.25], size=SESSIONS), LENGTH)
    arms = np.repeat(rng.integers(2, size=SESSIONS), LENGTH)
    return arms, (rng.random(len(arms)) < np.array(VALUES)[arms] + mood).astype(np.float64)


def coverage(design: SamplingDesign, replications: int = 250) -> dict[str, float]:
    rng, hits = np.random.default_rng(1), dict.fromkeys(("snips", "ips", "dr", "lift", "dr_lift", "hit"), 0)
    for _ in range(replications):
        arms, rewards = session_log(rng)
        weights, base = 2.0 * (arms == 1), 2.0 * (arms == 0)
        constant = np.full(len(arms), 0.3)
        ours, theirs = (ModelledSample(each, rewards, constant, constant, design) for each in (weights, base))
        found = {
            "snips": (snips(weights, rewards, REQUIREMENTS, design).interval, VALUES[1]),
            "ips": (ips(weights, rewards, REQUIREMENTS, design).interval, VALUES[1]),
            "dr": (doubly_robust(ours, REQUIREMENTS).interval, VALUES[1]),
            "lift": (paired_snips_lift(weights, base, rewards, REQUIREMENTS, design).interval, VALUES[1] - VALUES[0]),
            "dr_lift": (paired_dr_lift(ours, theirs, REQUIREMENTS).interval, VALUES[1] - VALUES[0]),
            "hit": (reward_at_hit(weights, rewards, True, REQUIREMENTS, design).interval, VALUES[1]),
        }
        for name, (interval, truth) in found.items():
            assert interval is not None
            hits[name] += interval.lower <= truth <= interval.upper
    return {name: count / replications for name, count in hits.items()}


def test_by_row_intervals_of_sessions_cover_too_little_by_unit_what_they_promise() -> None:
    by_row, by_unit = coverage(BY_ROW), coverage(SamplingDesign(UNITS))
    assert all(share < 0.90 for share in by_row.values()), by_row
    assert all(0.94 <= share <= 0.99 for share in by_unit.values()), by_unit


def test_units_of_one_row_change_nothing() -> None:
    arms, rewards = session_log(np.random.default_rng(0))
    weights, alone = 2.0 * (arms == 1), SamplingDesign(np.arange(len(arms)))
    for estimator in (ips, snips):
        plain, by_unit = estimator(weights, rewards, REQUIREMENTS), estimator(weights, rewards, REQUIREMENTS, alone)
        assert by_unit.standard_error == pytest.approx(plain.standard_error, rel=1e-12)
        assert plain.interval is not None and by_unit.interval is not None
        assert by_unit.interval.upper == pytest.approx(plain.interval.upper, rel=1e-12)
    assert reward_at_hit(weights, rewards, True, REQUIREMENTS, alone) == reward_at_hit(
        weights, rewards, True, REQUIREMENTS
    )


def test_a_few_units_are_no_evidence_however_many_rows_they_have() -> None:
    arms, rewards = session_log(np.random.default_rng(0))
    weights = 2.0 * (arms == 1)
    few = SamplingDesign(np.arange(len(arms)) % 20)
    refusal = snips(weights, rewards, REQUIREMENTS, few).refusal
    assert refusal is not None
    assert refusal.code is RefusalCode.TOO_FEW_UNITS
    assert paired_snips_lift(weights, 2.0 - weights, rewards, REQUIREMENTS, few).interval is None


def test_the_freedom_is_the_effective_size_of_the_variance_by_unit() -> None:
    weights, rewards = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 0.0])
    assert evidence_of(weights, rewards).freedom == pytest.approx((1 + 4 + 9) ** 2 / (1 + 16 + 81))
    by_unit = evidence_of(weights, rewards, SamplingDesign(np.array([0, 1, 0])))
    assert by_unit.freedom == pytest.approx((16 + 4) ** 2 / (256 + 16))
    assert by_unit.effective_units == pytest.approx(36 / 20)


def test_an_estimate_for_display_has_its_error_by_unit_too() -> None:
    arms, rewards = session_log(np.random.default_rng(3))
    weights, design = 2.0 * (arms == 1), SamplingDesign(UNITS)
    clipped, whole = clipped_ips(weights, rewards, design=design), ips(weights, rewards, REQUIREMENTS, design)
    assert clipped.standard_error == pytest.approx(whole.standard_error)
    assert clipped.standard_error > 1.5 * clipped_ips(weights, rewards).standard_error


@pytest.mark.parametrize("units", [None, UNITS])
def test_rows_that_are_absent_count_as_if_they_were_at_hand(units: np.ndarray | None) -> None:
    rng, n = np.random.default_rng(4), len(UNITS)
    kept = np.flatnonzero(rng.random(n) < 0.1)
    terms = np.full(n, -0.25)
    terms[kept] = rng.normal(size=len(kept))
    whole = SamplingDesign(units)
    sizes = None if units is None else np.bincount(units).astype(np.float64)
    numbered = UnitRows.of(n, sizes).design(len(kept), None if units is None else units[kept])
    fewer = np.flatnonzero(rng.random(len(kept)) < 0.5)
    rest = terms.copy()
    rest[np.setdiff1d(kept, kept[fewer])] = -0.25
    for design in (whole.narrowed(kept, n), numbered):
        assert design.sample_size(len(kept)) == n
        found, expected = design.variances(terms[kept], -0.25), whole.variances(terms)
        assert found.by_row == pytest.approx(expected.by_row, rel=1e-12)
        assert found.by_unit == pytest.approx(expected.by_unit, rel=1e-12)
        found, expected = design.narrowed(fewer, len(kept)).variances(rest[kept[fewer]], -0.25), whole.variances(rest)
        assert found.by_row == pytest.approx(expected.by_row, rel=1e-12)
        assert found.by_unit == pytest.approx(expected.by_unit, rel=1e-12)


def test_absent_rows_of_zero_add_nothing() -> None:
    terms, units = np.array([1.0, 2.0, 4.0]), np.array([5, 5, 2])
    design = UnitRows.of(100, np.full(10, 10.0)).design(3, units)
    assert design.variances(terms).by_row == 21.0
    assert design.variances(terms).by_unit == design.covariance(terms, terms) == 25.0


def test_sums_of_products_are_the_same_however_long() -> None:
    rng = np.random.default_rng(0)
    for length in (0, 1, FEW, FEW + 1):
        first, second = rng.random((2, length))
        assert inner(first, second) == pytest.approx(float((first * second).sum()), rel=1e-12)
