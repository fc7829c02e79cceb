"""More exploration than the cap allows is detected; less is accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from learner.examples.slice_tallies import SliceTallies
from learner.judgement.log_soundness import LogSoundness


def test_the_p_value_is_the_binomial_tail() -> None:
    tallies = SliceTallies({"EXPLORE": 160, "POLICY": 9_840})
    assert tallies.p_value(0.0125) == pytest.approx(binomtest(160, 10_000, 0.0125, alternative="greater").pvalue)


def test_too_much_exploration_is_noticed() -> None:
    assert (SliceTallies({"EXPLORE": 300, "POLICY": 9_700}).p_value(0.0125) or 0) < 1e-12


@pytest.mark.parametrize("counts", [{"POLICY": 10_000}, {"EXPLORE": 20, "POLICY": 9_980}])
def test_caps_and_kills_only_lower_it(counts: dict[str, int]) -> None:
    assert (SliceTallies(counts).p_value(0.0125) or 0) > 0.99


@given(st.integers(0, 2**70), st.integers(0, 2**70), st.floats(0.001, 0.9))
def test_no_count_is_too_large_to_be_weighed(explored: int, others: int, rate: float) -> None:
    tallies = SliceTallies({"EXPLORE": explored, "POLICY": others})
    p_value = tallies.p_value(rate)
    assert (p_value is None) == (tallies.decisions == 0)
    assert p_value is None or 0.0 <= p_value <= 1.0
    if tallies.decisions > 10**6 and p_value is not None:
        share = explored / tallies.decisions
        assert p_value < 1e-6 if share > rate + 0.05 else p_value > 1 - 1e-6 if share < rate - 0.05 else True


@pytest.mark.parametrize("decisions", [10**12, 10**15, 10**18, 10**30])
@pytest.mark.parametrize(("more", "judged"), [(1.5, False), (0.5, True)])
def test_the_share_tells_among_any_number_of_decisions(decisions: int, more: float, judged: bool) -> None:
    explored = int(decisions * 0.0125 * more)
    p_value = SliceTallies({"EXPLORE": explored, "POLICY": decisions - explored}).p_value(0.0125)
    assert p_value is not None and (p_value > 0.99 if judged else p_value < 1e-12)


def test_no_tallies_say_nothing() -> None:
    sound = LogSoundness(5, 0.3, "chi_square", "five rows")
    assert SliceTallies({}).p_value(0.5) is None
    assert sound.with_tallies(SliceTallies({}), 0.5) is sound


def test_the_smaller_p_value_counts_twice() -> None:
    sound = LogSoundness(5, 0.3, "chi_square", "five rows")
    combined = sound.with_tallies(SliceTallies({"EXPLORE": 300, "POLICY": 9_700}), 0.0125)
    assert combined.p_value is not None and combined.p_value < 1e-12
    assert "300 of 10000 tallied decisions explored" in combined.detail
