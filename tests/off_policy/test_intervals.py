"""Intervals against tables, and the rules that refuse them."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.estimates import RefusalCode
from off_policy.importance_weights import evidence_of
from off_policy.intervals import (
    EvidenceRequirements,
    exact_binomial_interval,
    lacking_evidence,
    student_interval,
    wilson_interval,
)
from off_policy.logged_bandit import EvaluationError

REQUIREMENTS = EvidenceRequirements(level=0.95, min_matched_rows=100, min_positives=30)


def test_student_interval_uses_ess_minus_one() -> None:
    interval = student_interval(1.0, 0.1, ess=8.0, level=0.95)
    assert interval.upper - 1.0 == pytest.approx(0.1 * 2.3646, abs=1e-5)
    assert 1.0 - interval.lower == pytest.approx(interval.upper - 1.0)
    assert interval.method == "student-t"


def test_student_interval_stays_finite_at_the_smallest_ess() -> None:
    assert np.isfinite(student_interval(0.0, 1.0, ess=0.5, level=0.95).upper)


def test_wilson_interval_of_a_textbook_case() -> None:
    interval = wilson_interval(10, 100, 0.95)
    assert interval.lower == pytest.approx(0.05523, abs=1e-5)
    assert interval.upper == pytest.approx(0.17437, abs=1e-5)
    assert wilson_interval(0, 10, 0.95).lower == 0.0


def test_exact_interval_of_a_textbook_case() -> None:
    interval = exact_binomial_interval(10, 100, 0.95)
    assert interval.lower == pytest.approx(0.04900, abs=1e-5)
    assert interval.upper == pytest.approx(0.17622, abs=1e-5)
    nothing = exact_binomial_interval(0, 37, 0.95)
    assert nothing.lower == 0.0
    assert nothing.upper == pytest.approx(1 - 0.025 ** (1 / 37))
    assert exact_binomial_interval(5, 5, 0.95).upper == 1.0


@pytest.mark.parametrize(
    ("rows", "positives", "code", "text"),
    [
        (0, 0, RefusalCode.TOO_FEW_MATCHED_ROWS, "never chooses the logged arm"),
        (99, 40, RefusalCode.TOO_FEW_MATCHED_ROWS, "fewer than 100 matched rows (99"),
        (200, 29, RefusalCode.TOO_FEW_POSITIVES, "fewer than 30 positives (29"),
        (200, 180, RefusalCode.TOO_FEW_NEGATIVES, "fewer than 30 matched rows below"),
    ],
)
def test_thin_evidence_is_refused(rows: int, positives: int, code: RefusalCode, text: str) -> None:
    rewards = np.zeros(rows)
    rewards[:positives] = 1.0
    refusal = lacking_evidence(evidence_of(np.full(rows, 2.0), rewards), REQUIREMENTS)
    assert refusal is not None
    assert refusal.code is code
    assert text in refusal.reason


def test_enough_evidence_is_not_refused() -> None:
    rewards = np.r_[np.ones(30), np.zeros(70)]
    assert lacking_evidence(evidence_of(np.full(100, 56.0), rewards), REQUIREMENTS) is None


@pytest.mark.parametrize("fields", [{"level": 1.0}, {"min_matched_rows": 1}, {"min_positives": 0}])
def test_senseless_requirements_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(EvaluationError):
        EvidenceRequirements(**fields)  # type: ignore[arg-type]
