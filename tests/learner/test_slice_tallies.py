"""More exploration than the cap allows is noticed; less is not held against anyone."""

import pytest
from scipy.stats import binomtest

from learner.log_soundness import LogSoundness
from learner.slice_tallies import SliceTallies


def test_the_p_value_is_the_binomial_tail() -> None:
    tallies = SliceTallies({"EXPLORE": 160, "POLICY": 9_840})
    assert tallies.p_value(0.0125) == pytest.approx(binomtest(160, 10_000, 0.0125, alternative="greater").pvalue)


def test_too_much_exploration_is_noticed() -> None:
    assert (SliceTallies({"EXPLORE": 300, "POLICY": 9_700}).p_value(0.0125) or 0) < 1e-12


@pytest.mark.parametrize("counts", [{"POLICY": 10_000}, {"EXPLORE": 20, "POLICY": 9_980}])
def test_caps_and_kills_only_lower_it(counts: dict[str, int]) -> None:
    assert (SliceTallies(counts).p_value(0.0125) or 0) > 0.99


def test_no_tallies_say_nothing() -> None:
    sound = LogSoundness(5, 0.3, "chi_square", "five rows")
    assert SliceTallies({}).p_value(0.5) is None
    assert sound.with_tallies(SliceTallies({}), 0.5) is sound


def test_the_smaller_p_value_counts_twice() -> None:
    sound = LogSoundness(5, 0.3, "chi_square", "five rows")
    combined = sound.with_tallies(SliceTallies({"EXPLORE": 300, "POLICY": 9_700}), 0.0125)
    assert combined.p_value is not None and combined.p_value < 1e-12
    assert "300 of 10000 tallied decisions explored" in combined.detail
