"""The tails are those of the binomial distribution, and stay numbers for any count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from learner.examples.binomial_tails import p_at_least, p_at_most


@pytest.mark.parametrize(
    ("successes", "trials", "rate"), [(0, 5, 0.3), (2, 5, 0.3), (5, 5, 0.3), (160, 10_000, 0.0125)]
)
def test_whole_numbers_have_the_binomial_tails(successes: int, trials: int, rate: float) -> None:
    assert p_at_least(successes, trials, rate) == pytest.approx(float(binom.sf(successes - 1, trials, rate)))
    assert p_at_most(successes, trials, rate) == pytest.approx(float(binom.cdf(successes, trials, rate)))


def test_clusters_count_as_one_draw_each() -> None:
    """Five requests a session: 200 of 1,000 are as surprising as 40 of 200."""
    assert p_at_least(200, 1_000, 0.15, 5.0) == pytest.approx(float(binom.sf(39, 200, 0.15)))
    assert p_at_most(100, 1_000, 0.15, 5.0) == pytest.approx(float(binom.cdf(20, 200, 0.15)))


def test_a_rate_of_0_or_1_is_certain() -> None:
    assert [p_at_least(1, 9, 0.0), p_at_least(0, 9, 0.0), p_at_most(0, 9, 0.0)] == [0.0, 1.0, 1.0]
    assert [p_at_most(8, 9, 1.0), p_at_most(9, 9, 1.0), p_at_least(9, 9, 1.0)] == [0.0, 1.0, 1.0]


@given(st.integers(0, 2**70), st.integers(1, 2**70), st.floats(0, 1), st.floats(0.1, 1e9))
def test_any_count_has_a_probability(successes: int, others: int, rate: float, design_effect: float) -> None:
    numbers = (successes, successes + others, rate, design_effect)
    assert 0.0 <= p_at_least(*numbers) <= 1.0
    assert 0.0 <= p_at_most(*numbers) <= 1.0
