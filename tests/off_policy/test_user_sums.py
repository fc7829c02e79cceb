"""Sums by user: a unit counts once, what is unknown is left out, and parts of a log add up to the whole."""

from __future__ import annotations

import numpy as np
import pytest

from off_policy.logged_bandit import EvaluationError
from off_policy.user_sums import IN_NONE, ArmUsers, CountedRows, UserSums
from tests.off_policy.arm_worlds import draw_log, sums_of


def rows(
    user: list[int], count: list[float], observed: list[bool] | None = None, weight: list[float] | None = None
) -> CountedRows:
    return CountedRows(
        np.array(user, dtype=np.int64),
        np.array(weight if weight is not None else [1.0] * len(user)),
        np.array(count),
        np.array(observed if observed is not None else [True] * len(user)),
    )


def test_a_unit_of_several_rows_counts_once_with_the_clipped_sum_and_the_weight_of_its_coin() -> None:
    found = rows([0, 0, 0, 1], [2.0, 3.0, 1.0, 1.0], weight=[10.0, 10.0, 10.0, 5.0]).by_unit(np.array([7, 7, 8, 9]))
    sums = UserSums.of(found, 4.0, 2)
    assert sums.total.tolist() == [10 * (4 + 1), 5]
    assert sums.weight.tolist() == [20, 5]
    assert sums.units.tolist() == [2, 1]
    assert sums.positives.tolist() == [2, 1]


def test_rows_in_no_unit_are_left_out() -> None:
    found = rows([0, 0], [1.0, 1.0]).by_unit(np.array([IN_NONE, 0]))
    assert (found.user.tolist(), found.count.tolist()) == ([0], [1.0])
    assert len(rows([0, 0], [1.0, 1.0]).by_unit(np.full(2, IN_NONE)).user) == 0


def test_a_unit_with_an_unobserved_row_is_unobserved_and_not_zero() -> None:
    found = rows([0, 0, 0], [1.0, 0.0, 1.0], observed=[True, False, True]).by_unit(np.array([0, 0, 1]))
    assert found.observed.tolist() == [False, True]
    assert UserSums.of(found, 1.0, 1).weight.tolist() == [1.0]


def test_an_unobserved_count_may_be_anything() -> None:
    found = rows([0, 0], [np.nan, 1.0], observed=[False, True]).by_unit(np.array([0, 1]))
    assert UserSums.of(found, 1.0, 1).total.tolist() == [1.0]


def test_the_rows_of_two_users_are_two_units() -> None:
    found = rows([0, 1, 1], [1.0, 1.0, 1.0]).by_unit(np.zeros(3, dtype=np.int64))
    assert (found.user.tolist(), found.count.tolist()) == ([0, 1], [1.0, 2.0])


def test_a_unit_whose_log_rate_changed_has_the_weight_of_the_lowest_rate() -> None:
    found = rows([0, 0], [1.0, 1.0], weight=[10.0, 100.0]).by_unit(np.zeros(2, dtype=np.int64))
    assert found.weight.tolist() == [100.0]


@pytest.mark.parametrize("count", [-1.0, np.nan, np.inf])
def test_a_count_that_is_none_is_not_observed(count: float) -> None:
    sums = UserSums.of(rows([0, 0], [count, 1.0]), 1.0, 1)
    assert (sums.total.tolist(), sums.units.tolist()) == ([1.0], [1])


@pytest.mark.parametrize("per", ["request", "session"])
def test_the_sums_of_two_parts_are_those_of_the_whole(per: str) -> None:
    log = draw_log(60, "session", 0.5, np.random.default_rng(1))
    early = log.user < 25
    first = sums_of(log.take(early), per).sums
    shorter = UserSums(first.total[:25], first.weight[:25], first.units[:25], first.positives[:25])
    later, whole = sums_of(log.take(~early), per).sums, sums_of(log, per).sums
    for both in (shorter.plus(later), later.plus(shorter)):
        for name in ("total", "weight", "units", "positives"):
            assert getattr(both, name).tolist() == getattr(whole, name).tolist(), name


def arm_users(arm: list[int], user: list[int], users: int) -> ArmUsers:
    return ArmUsers.of(np.array(arm), np.array(user), np.full(len(arm), 2.0), users)


def test_a_user_in_two_arms_is_in_none() -> None:
    found = arm_users([0, 1, 0, 1], [0, 0, 1, 2], 3)
    assert found.arm.tolist() == [IN_NONE, 0, 1]
    assert found.rows.tolist() == [2, 1, 1]
    assert found.requests.tolist() == [4.0, 2.0, 2.0]


def test_users_of_two_parts() -> None:
    found = arm_users([0, 1, 0, 1], [0, 1, 2, 2], 3).plus(arm_users([0, 0, 1, 1], [0, 1, 2, 3], 4))
    assert found.arm.tolist() == [0, IN_NONE, IN_NONE, 1]
    assert found.rows.tolist() == [2, 2, 3, 1]


def test_users_that_one_part_does_not_know_keep_the_arm_of_the_other() -> None:
    found = arm_users([0], [0], 2).plus(arm_users([1], [1], 2))
    assert found.arm.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("user", "weight"), [([-1], [1.0]), ([0], [0.0]), ([0], [np.inf]), ([0], [np.nan]), ([0], [1.0, 1.0])]
)
def test_rows_without_a_user_or_a_weight_are_refused(user: list[int], weight: list[float]) -> None:
    with pytest.raises(EvaluationError):
        rows(user, [1.0], weight=weight)
    with pytest.raises(EvaluationError):
        ArmUsers.of(np.zeros(1, dtype=np.int64), np.array(user), np.array(weight), 1)


def test_units_of_another_log_are_refused() -> None:
    with pytest.raises(EvaluationError, match="unit has shape"):
        rows([0], [1.0]).by_unit(np.zeros(2, dtype=np.int64))
