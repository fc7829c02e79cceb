"""Intervals against tables, and the rules that refuse them."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.estimates import RefusalCode
from off_policy.importance_weights import Evidence, evidence_of
from off_policy.intervals import (
    EvidenceRequirements,
    cautious_interval,
    exact_binomial_interval,
    lacking_evidence,
    student_interval,
)
from off_policy.logged_bandit import EvaluationError
from off_policy.sampling_design import BY_ROW
from off_policy.weighted_parts import PartRows

REQUIREMENTS = EvidenceRequirements(level=0.95, min_matched_rows=100, min_positives=30)


def test_student_interval_uses_ess_minus_one() -> None:
    interval = student_interval(1.0, 0.1, ess=8.0, level=0.95)
    assert interval.upper - 1.0 == pytest.approx(0.1 * 2.3646, abs=1e-5)
    assert 1.0 - interval.lower == pytest.approx(interval.upper - 1.0)
    assert interval.method == "student-t"


def test_student_interval_stays_finite_at_the_smallest_ess() -> None:
    assert np.isfinite(student_interval(0.0, 1.0, ess=0.5, level=0.95).upper)


def test_exact_interval_of_a_textbook_case() -> None:
    interval = exact_binomial_interval(10, 100, 0.95)
    assert interval.lower == pytest.approx(0.04900, abs=1e-5)
    assert interval.upper == pytest.approx(0.17622, abs=1e-5)
    nothing = exact_binomial_interval(0, 37, 0.95)
    assert nothing.lower == 0.0
    assert nothing.upper == pytest.approx(1 - 0.025 ** (1 / 37))
    assert exact_binomial_interval(5, 5, 0.95).upper == 1.0


def evidence(rows: int, rate: float, hits: float = 0.0) -> Evidence:
    """Of `rows` matched rows with even weights, in a log whose other 1,000 rows have this rate."""
    rewards = np.r_[np.arange(rows) < hits, np.arange(1000) < rate * 1000].astype(np.float64)
    return evidence_of(np.r_[np.full(rows, 2.0), np.zeros(1000)], rewards)


@pytest.mark.parametrize(
    ("rows", "rate", "code", "text"),
    [
        (0, 0.5, RefusalCode.TOO_FEW_MATCHED_ROWS, "never chooses the logged arm"),
        (20, 0.9, RefusalCode.TOO_FEW_MATCHED_ROWS, "fewer than 21 matched rows (20 matched rows, worth 20.0"),
        (200, 0.049, RefusalCode.TOO_FEW_POSITIVES, "fewer than 10 positives expected (9.8 in rows worth 200.0"),
    ],
)
def test_thin_evidence_is_refused(rows: int, rate: float, code: RefusalCode, text: str) -> None:
    refusal = lacking_evidence(evidence(rows, rate, rows), REQUIREMENTS)
    assert refusal is not None
    assert refusal.code is code
    assert text in refusal.reason


@pytest.mark.parametrize("hits", [0, 1, 100, 200])
def test_the_rewards_that_are_judged_do_not_decide_whether_there_is_an_answer(hits: int) -> None:
    assert lacking_evidence(evidence(200, 0.05, hits), REQUIREMENTS) is None
    assert lacking_evidence(evidence(200, 0.04, hits), REQUIREMENTS) is not None


def test_lower_requirements_answer_on_less() -> None:
    few = EvidenceRequirements(min_matched_rows=5, min_positives=1)
    assert lacking_evidence(evidence(8, 0.2), few) is None
    assert lacking_evidence(evidence(4, 0.5), few) is not None
    assert lacking_evidence(evidence(8, 0.1), few) is not None


def test_the_interval_of_even_weights_is_wilsons_or_students() -> None:
    """10 hits of 100: Wilson's is [0.05523, 0.17437], Student's 0.1 +- 0.0595 · 100 / 99 (99 degrees of freedom)."""
    rewards, weights = (np.arange(100) < 10).astype(np.float64), np.full(100, 0.01)
    part = PartRows(weights * (rewards - 0.1), weights, rewards, 0.1, bends=True).score(BY_ROW, 1.0)
    down, up = part.reach(np.asarray(1.959964))
    assert 0.1 - down == pytest.approx(0.05523, abs=1e-5)
    assert 0.1 + up == pytest.approx(0.17437, abs=1e-5)
    interval = cautious_interval(0.1, part, 100.0, 0.95)
    assert interval.lower == pytest.approx(0.1 - 0.059526 * 100 / 99, abs=1e-5)
    assert interval.upper > 0.17437


@pytest.mark.parametrize(
    "fields", [{"level": 1.0}, {"cohort_level": 1.0}, {"min_matched_rows": 1}, {"min_positives": 0}]
)
def test_senseless_requirements_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(EvaluationError):
        EvidenceRequirements(**fields)  # type: ignore[arg-type]
