"""The order of arrival stands for ever, however much of it is cut off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_processors.partition.arrival_order import KEPT_BEHIND, ArrivalOrder


def test_places_stay_what_they_are_when_the_beginning_is_cut_off() -> None:
    order = ArrivalOrder()
    for number in range(10_000):
        order.add(number % 7, 3 * number)
    order.cut(9_000)
    assert next(order.since(9_500)) == (9_500, 9_500 % 7, 28_500)
    assert next(order.since(0)) == (9_000, 9_000 % 7, 27_000)
    assert order.end == 10_000


@pytest.mark.parametrize(
    ("count", "place", "first"),
    [
        (KEPT_BEHIND, KEPT_BEHIND, 0),
        (KEPT_BEHIND + 1, KEPT_BEHIND + 1, KEPT_BEHIND + 1),
        (4 * KEPT_BEHIND, 2 * KEPT_BEHIND, 0),
        (4 * KEPT_BEHIND, 2 * KEPT_BEHIND + 1, 2 * KEPT_BEHIND + 1),
    ],
)
def test_few_entries_or_less_than_half_are_not_cut_off(count: int, place: int, first: int) -> None:
    order = ArrivalOrder()
    order.add_all([0] * count, range(count))
    order.cut(place)
    assert next((at for at, _, _ in order.since(0)), count) == first


def test_a_decision_that_began_earlier_comes_before_the_last() -> None:
    order = ArrivalOrder()
    assert [order.add(row, offset) for row, offset in ((0, 5), (1, 9), (2, 12), (3, 7))] == [0, 1, 2, 1]
    assert list(order.since(0)) == [(0, 0, 5), (1, 3, 7), (2, 1, 9), (3, 2, 12)]


def test_many_follow_in_their_order() -> None:
    order = ArrivalOrder()
    order.add(0, 5)
    order.add_all([3, 1], [6, 9])
    order.add_all([], [])
    assert list(order.since(0)) == [(0, 0, 5), (1, 3, 6), (2, 1, 9)]


@given(st.lists(st.integers(1, 9_000), max_size=8))
def test_what_was_not_cut_is_all_there(runs: list[int]) -> None:
    order, appended = ArrivalOrder(), 0
    for run in runs:
        for _ in range(run):
            order.add(appended, appended)
            appended += 1
        order.cut(appended - run // 2)
        assert [place for place, _, _ in order.since(appended - run // 2)] == list(range(appended - run // 2, appended))
