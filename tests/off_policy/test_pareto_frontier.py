"""The frontier rule of PRL-PUTS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from off_policy.logged_bandit import EvaluationError
from off_policy.pareto_frontier import pareto_front, proposable

POINTS = [[0.05, 0.01], [0.04, 0.03], [0.04, 0.02], [-0.01, 0.06], [0.05, 0.01], [np.nan, 0.9]]


def test_dominated_and_undefined_points_are_dropped_and_equals_kept() -> None:
    assert pareto_front(POINTS).tolist() == [True, True, False, True, True, False]


def test_only_points_without_a_loss_may_be_proposed() -> None:
    assert proposable(POINTS).tolist() == [True, True, False, False, True, False]


def test_one_objective_keeps_the_best() -> None:
    assert pareto_front([[0.1], [0.3], [0.3], [-0.2]]).tolist() == [False, True, True, False]


def test_no_points_and_wrong_shapes() -> None:
    assert pareto_front(np.empty((0, 2))).tolist() == []
    with pytest.raises(EvaluationError):
        pareto_front([0.1, 0.2])


@given(arrays(np.float64, (8, 3), elements=st.integers(-3, 3).map(float)))
def test_every_dropped_point_is_dominated_by_a_kept_one(points: np.ndarray) -> None:
    kept = pareto_front(points)
    assert kept.any()
    for index in range(len(points)):
        rivals = points[kept]
        dominated = ((rivals >= points[index]).all(axis=1) & (rivals > points[index]).any(axis=1)).any()
        assert dominated != kept[index]
