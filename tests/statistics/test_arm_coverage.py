"""Intervals of online experiments cover the truth as often as they claim, per counting unit and at any log rate."""

from __future__ import annotations

import numpy as np
import pytest

from tests.off_policy.arm_worlds import LENGTHS, compared, draw_log, true_mean

RUNS = 250
LEVEL = 0.9
LEAST = LEVEL - 3 * np.sqrt(LEVEL * (1 - LEVEL) / RUNS)
RIGHT_COIN = {"request": "request", "session": "session", "user-day": "user"}
USERS = {"request": 2_000, "session": 2_500, "user-day": 5_000}
"""At a log rate of 0.1; a tenth of the users are all seen at a rate of 1."""


@pytest.mark.parametrize(("rate", "fewer"), [(1.0, 5), (0.1, 1)])
@pytest.mark.parametrize("per", LENGTHS)
def test_differences_and_lifts_are_covered_under_the_coin_of_the_unit(per: str, rate: float, fewer: int) -> None:
    rng = np.random.default_rng(15)
    truth, base = true_mean("more", per), true_mean("control", per)
    held = stated = lift_held = mismatches = 0
    for _ in range(RUNS):
        found = compared(draw_log(USERS[per] // fewer, RIGHT_COIN[per], rate, rng), per, level=LEVEL)
        outcome = found.arms["more"].outcomes[per]
        mismatches += found.sample_ratio_p is not None and found.sample_ratio_p < 0.05
        if outcome.interval is not None and outcome.lift_interval is not None:
            stated += 1
            held += outcome.interval.lower <= truth - base <= outcome.interval.upper
            lift_held += outcome.lift_interval.lower <= truth / base - 1 <= outcome.lift_interval.upper
    assert stated > 0.9 * RUNS
    assert held / stated >= LEAST
    assert lift_held / stated >= LEAST
    assert held / stated <= 0.97, "needlessly wide"
    assert mismatches / RUNS <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / RUNS), "thinning by the log is no mismatch"


@pytest.mark.parametrize("per", ["session", "user-day"])
def test_a_log_of_single_requests_hides_the_outcomes_of_larger_units(per: str) -> None:
    """The reason why an experiment file with such an outcome and such a log is refused."""
    rng = np.random.default_rng(16)
    truth, base = true_mean("more", per), true_mean("control", per)
    means, held = [], 0
    for _ in range(RUNS):
        outcome = compared(draw_log(USERS[per], "request", 0.1, rng), per, level=LEVEL).arms["more"].outcomes[per]
        means.append(outcome.mean)
        assert outcome.interval is not None
        held += outcome.interval.lower <= truth - base <= outcome.interval.upper
    assert np.mean(means) < 0.7 * truth
    assert held / RUNS < LEAST
