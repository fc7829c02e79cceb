"""The check of an experiment's split: Pearson's test on users, where it holds."""

from __future__ import annotations

import pytest

from off_policy.sample_ratio import sample_ratio_p


def test_equal_counts_of_equal_arms_are_no_mismatch() -> None:
    assert sample_ratio_p([500, 500, 500], [1, 1, 1]) == pytest.approx(1.0)


def test_the_p_value_is_pearsons() -> None:
    """χ² = 3.841 on one degree of freedom, 5.991 on two: 5 % each."""
    assert sample_ratio_p([500 + 31, 500 - 31], [0.5, 0.5]) == pytest.approx(0.0500, abs=2e-3)
    assert sample_ratio_p([1000 + 55, 1000 - 55, 1000], [2, 2, 2]) == pytest.approx(0.0486, abs=2e-3)


def test_shares_may_differ_and_need_not_sum_to_one() -> None:
    assert sample_ratio_p([800, 200], [8, 2]) == pytest.approx(1.0)
    assert (sample_ratio_p([500, 500], [8, 2]) or 0.0) < 1e-6


def test_too_few_expected_users_give_no_answer() -> None:
    assert sample_ratio_p([4, 4], [0.5, 0.5]) is None
    assert sample_ratio_p([90, 0], [0.95, 0.05]) is None
    assert sample_ratio_p([0, 0], [0.5, 0.5]) is None
    assert sample_ratio_p([10, 0], [0.5, 0.5]) == pytest.approx(0.001565, rel=1e-3)
