"""Weights as an Action gives them, compared with those of its arm."""

from __future__ import annotations

import numpy as np
import pytest

from event_schemas.action_space import Axis, grid_action_space
from stream_processors.rule.arm_weights import ArmWeights

SPACE = grid_action_space([Axis("a", 91.6, 10.0, 200.0, 7), Axis("b", 0.1, -1.0, 1.0, 11)])
DECLARED = ArmWeights(SPACE.weights)
ARMS = np.arange(SPACE.arms)


def test_every_arm_has_its_weights_and_no_other_arm_has() -> None:
    assert DECLARED.match(ARMS, SPACE.weights).all()
    distinct = SPACE.weights[:-1]
    assert not DECLARED.match(ARMS[:-1], np.roll(distinct, 1, axis=0)).any()
    assert (DECLARED.width, DECLARED.of(SPACE.production_arm)) == (2, [91.6, 0.1])


def test_weights_that_went_through_32_bits_are_the_same() -> None:
    assert DECLARED.match(ARMS, SPACE.weights.astype(np.float32).astype(np.float64)).all()


def test_a_grid_point_computed_in_another_way_is_the_same() -> None:
    steps = [10.0 + 190.0 * step / 6 for step in range(7)], [-1.0 + step * 0.2 for step in range(11)]
    grid = np.array([(a, b) for a in steps[0] for b in steps[1]])
    assert DECLARED.match(ARMS[:-1], grid).all()


@pytest.mark.parametrize("steps", [21, 200])
def test_a_grid_computed_in_32_bits_is_the_same(steps: int) -> None:
    space = grid_action_space([Axis("a", 0.0, -1.0, 1.0, steps)])
    grid = np.linspace(np.float32(-1), np.float32(1), steps, dtype=np.float32)
    given = np.append(grid, np.float32(0)).astype(np.float64)[:, None]
    assert ArmWeights(space.weights).match(np.arange(space.arms), given).all()


@pytest.mark.parametrize(
    ("low", "high", "steps"), [(0.0, 1 / 45, 45), (0.01, 100.0, 1000), (1e6, 1.01e6, 900), (1e6, 1.00999e6, 1000)]
)
def test_the_digits_of_an_arms_name_are_its_weights_and_no_neighbours(low: float, high: float, steps: int) -> None:
    space = grid_action_space([Axis("a", high, low, high, steps)])
    declared, arms = ArmWeights(space.weights), np.arange(steps)
    named = np.array([[float(name.partition("=")[2])] for name in space.arm_names[:-1]])
    assert declared.match(arms, named).all()
    assert not declared.match(arms[:-1], space.weights[1:steps]).any()


def test_production_close_to_a_grid_point_is_another_arm() -> None:
    space = grid_action_space([Axis("a", 1_000_004.0, 1e6, 1.00999e6, 1000)])
    production, nearest = space.weights[[-1]], space.weights[[0]]
    declared = ArmWeights(space.weights)
    assert not declared.match(np.array([0]), production)[0]
    assert not declared.match(np.array([space.production_arm]), nearest)[0]


@pytest.mark.parametrize("factor", [1 + 3e-5, 1 - 3e-5, np.nan, np.inf])
def test_anything_else_is_not(factor: float) -> None:
    assert not DECLARED.match(np.array([8]), SPACE.weights[[8]] * factor)[0]


def test_an_arm_of_a_catalogue_has_none() -> None:
    catalogue = ArmWeights(np.zeros((3, 0)))
    assert (catalogue.width, catalogue.of(1)) == (0, [])
    assert catalogue.match(np.array([2]), np.zeros((1, 0))).all()


@pytest.mark.parametrize(("given", "same"), [(0.9e-6, True), (1.1e-6, False)])
def test_a_weight_of_zero_may_be_off_by_rounding_only(given: float, same: bool) -> None:
    assert ArmWeights(np.array([[0.0], [1.0]])).match(np.array([0]), np.array([[given]]))[0] == same


def test_weights_that_are_all_zero_match_themselves() -> None:
    assert ArmWeights(np.zeros((2, 1))).match(np.array([1]), np.zeros((1, 1)))[0]
