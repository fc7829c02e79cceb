"""A user stays in the cohort of the first request, however the rows come."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from learner.examples.first_cohorts import NO_COHORT, FirstCohorts

ROWS = [(0, 5, "new"), (1, 3, "core"), (0, 4, "core"), (2, 1, None), (2, 2, "core"), (3, 9, "other"), (1, 8, "new")]


@pytest.mark.parametrize("at_once", [1, 3, len(ROWS)])
@pytest.mark.parametrize("seed", range(4))
def test_the_first_request_decides_in_any_order(at_once: int, seed: int) -> None:
    found = FirstCohorts(["core", "new"])
    rows = [ROWS[place] for place in np.random.default_rng(seed).permutation(len(ROWS))]
    for start in range(0, len(rows), at_once):
        user, time, cohort = zip(*rows[start : start + at_once], strict=True)
        found.add(np.array(user), np.array(time), pl.Series(cohort, dtype=pl.String), 4)
    assert found.number.tolist() == [0, 0, NO_COHORT, NO_COHORT]


def test_without_declared_cohorts_nobody_is_in_one() -> None:
    found = FirstCohorts([])
    found.add(np.array([0, 1]), np.array([1, 1]), pl.Series(["a", None], dtype=pl.String), 2)
    assert found.number.tolist() == [NO_COHORT, NO_COHORT]


def test_of_two_requests_at_one_time_the_one_added_first_counts() -> None:
    found = FirstCohorts(["a", "b"])
    found.add(np.array([0]), np.array([7]), pl.Series(["b"]), 1)
    found.add(np.array([0]), np.array([7]), pl.Series(["a"]), 1)
    assert found.number.tolist() == [1]
