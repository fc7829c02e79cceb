"""Which arms requests allowed, without a cell for every row and arm."""

from __future__ import annotations

import numpy as np
import polars as pl

from learner.examples.eligible_lists import EligibleLists

LISTED = [[0, 2], [], [2], [0, 2], None, [1, 1, 2]]
LISTS = EligibleLists.of(pl.Series(LISTED, dtype=pl.List(pl.Int32)))


def test_rows_with_the_same_list_are_one_group() -> None:
    assert LISTS.group[0] == LISTS.group[3]
    assert LISTS.lists(LISTS.group) == [tuple(arms or ()) for arms in LISTED]


def test_masks_and_counts_take_an_empty_list_for_every_arm() -> None:
    masks = LISTS.masks(LISTS.group, 3)
    assert [np.flatnonzero(mask).tolist() for mask in masks] == [[0, 2], [0, 1, 2], [2], [0, 2], [0, 1, 2], [1, 2]]
    assert LISTS.counts(3).tolist() == masks.sum(axis=1).tolist()


def test_whether_everything_was_allowed() -> None:
    assert not LISTS.all_allowed
    assert EligibleLists.of(pl.Series([[], None], dtype=pl.List(pl.Int32))).all_allowed
    nothing = EligibleLists.of(pl.Series([], dtype=pl.List(pl.Int32)))
    assert nothing.all_allowed
    assert nothing.counts(3).tolist() == []


def test_an_arm_is_allowed_where_it_is_listed_or_nothing_is() -> None:
    lists = EligibleLists.of(pl.Series([[0], [], None, [2, 0]], dtype=pl.List(pl.Int64)))
    assert lists.allows(0).tolist() == [True, True, True, True]
    assert lists.allows(2).tolist() == [False, True, True, True]


def test_the_members_of_all_groups_are_the_rows() -> None:
    lists = EligibleLists.of(pl.Series([[0], [], [2, 0], [], [0]], dtype=pl.List(pl.Int64)))
    found = {group: places.tolist() for group, places in lists.members()}
    assert {lists.lists(np.array([group]))[0]: places for group, places in found.items()} == {
        (0,): [0, 4],
        (): [1, 3],
        (2, 0): [2],
    }
    assert not list(EligibleLists.of(pl.Series([], dtype=pl.List(pl.Int64))).members())
