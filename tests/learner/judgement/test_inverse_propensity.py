"""Rows of unknown distributions: arms that occur too often or too rarely are found, in any mixture of policies."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from learner.examples.eligible_lists import EligibleLists
from learner.judgement.gate import UNSOUND_P_VALUE
from learner.judgement.inverse_propensity import FEWEST_FOREIGN, ForeignRows, rounding_of

ARMS = 12


def foreign(arms: NDArray[np.int64], propensities: NDArray[np.float64]) -> ForeignRows:
    lists = EligibleLists.of(pl.Series([None]).cast(pl.List(pl.Int64)).gather([0] * len(arms)))
    return ForeignRows(arms, propensities, lists, ARMS)


def p_value(rows: ForeignRows) -> float:
    return min(part.p_value for part in rows.parts())


def drawn(rng: np.random.Generator, rows: int, tilt: float = 0.0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Arms and propensities of a policy with other probabilities in each row; `tilt` draws odd arms more often."""
    shares = rng.dirichlet(np.full(ARMS, 3.0), rows) * 0.9 + 0.1 / ARMS
    really = shares * np.where(np.arange(ARMS) % 2, 1.0 + tilt, 1.0 - tilt)
    really /= really.sum(axis=1, keepdims=True)
    arms = (rng.random((rows, 1)) > really.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return arms, shares[np.arange(rows), arms]


def test_sound_logs_of_policies_that_depend_on_the_request_alarm_at_most_nominally() -> None:
    found = [p_value(foreign(*drawn(np.random.default_rng(seed), 1_500))) for seed in range(80)]
    assert min(found) > UNSOUND_P_VALUE
    assert np.mean(np.array(found) < 0.05) < 0.15


def test_tilted_arms_are_found_although_the_mean_stays() -> None:
    for seed in range(5):
        mean, arms = foreign(*drawn(np.random.default_rng(seed), 6_000, tilt=0.2)).parts()
        assert mean.p_value > UNSOUND_P_VALUE > arms.p_value


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_a_mixture_of_policies_is_tested_as_one(share: float) -> None:
    """Most arms of a fixed policy are tilted, with rows of another policy between."""
    rng, fixed = np.random.default_rng(3), np.full(ARMS, 1.0 / ARMS)
    for tilt, sound in ((0.0, True), (0.3, False)):
        other = drawn(rng, int(12_000 * share))
        really = fixed * np.where(np.arange(ARMS) % 2, 1.0 + tilt, 1.0 - tilt)
        own = rng.choice(ARMS, 12_000 - len(other[0]), p=really)
        rows = foreign(np.concatenate([own, other[0]]), np.concatenate([fixed[own], other[1]]))
        assert (p_value(rows) > UNSOUND_P_VALUE) == (sound or share == 0.9)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_a_factor_in_all_propensities_is_found(factor: float) -> None:
    arms, propensities = drawn(np.random.default_rng(4), 6_000)
    assert p_value(foreign(arms, np.minimum(1.0, propensities * factor))) < UNSOUND_P_VALUE


@pytest.mark.parametrize("digits", [3, 4])
def test_rounded_propensities_of_a_large_log_are_sound(digits: int) -> None:
    arms = np.random.default_rng(5).choice(ARMS, 150_000)
    assert p_value(foreign(arms, np.full(len(arms), round(1 / ARMS, digits)))) > UNSOUND_P_VALUE


def test_few_rows_are_no_test() -> None:
    arms, propensities = drawn(np.random.default_rng(6), FEWEST_FOREIGN - 1)
    [part] = foreign(arms, propensities).parts()
    assert part.p_value == 1.0
    assert foreign(arms[:0], propensities[:0]).parts() == []


def test_a_propensity_may_be_half_a_digit_off() -> None:
    assert rounding_of(np.array([0.125, 0.0125, 1 / 3])) == pytest.approx([5e-4, 5e-5, 1e-6], abs=1e-9)
