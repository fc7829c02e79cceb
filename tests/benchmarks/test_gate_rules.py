"""Errors and costs of rules for an error budget, in small numbers of runs."""

import numpy as np
import pytest

from benchmarks.gate_rules import NEVER, measure_rule, rules, shipped_looks


@pytest.mark.parametrize("name", list(rules()))
def test_a_policy_at_the_margin_passes_within_the_budget(name: str) -> None:
    days = np.random.default_rng(2).normal(size=(4000, 90))
    assert np.mean(rules()[name](days) < NEVER) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)


def test_daily_looks_at_the_full_error_would_not() -> None:
    """The reason for a budget."""
    days = np.random.default_rng(2).normal(size=(1000, 90))
    sums = np.cumsum(days, axis=1)
    rolling = (sums[:, 7:] - sums[:, :-7]) / np.sqrt(7)
    assert np.mean((rolling > 1.645).any(axis=1)) > 0.5


def test_the_shipped_rule_costs_what_it_promises() -> None:
    found = measure_rule("shipped, hold-out of 14 days", 1500, 1)
    assert found.error <= 0.055
    assert found.rows == pytest.approx(1.27, abs=0.08)
    assert found.after <= 2 * found.fresh
    slow = measure_rule("6/(π²k²) at each daily look, hold-out of 7 days", 300, 1)
    assert slow.after > 2 * slow.fresh


def test_looks_are_a_hold_out_apart() -> None:
    looks = list(shipped_looks(14, 90))
    assert [day for day, _ in looks] == [14, 28, 42, 56, 70, 84]
    assert sum(share for _, share in looks) <= 0.05
