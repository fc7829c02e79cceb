"""Arms in the promised order, features within [0, 1] on the grid, a digest of nothing but the action space."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.action_space import (
    ActionSpace,
    Axis,
    Bounds,
    box_action_space,
    catalogue_action_space,
    grid_action_space,
    moving_axes,
)
from event_schemas.experiment import load_experiment
from tests.conformance.present_code import answer_space
from tests.conformance.vector_files import Case, cases

ROOT = Path(__file__).parents[2]
AXES = [Axis("repin", 91.6, 10, 200, 7), Axis("p2p", 9.1, 1, 30, 7)]


def test_the_grid_is_row_major_with_production_last() -> None:
    space = grid_action_space(AXES)
    assert (space.arms, space.production_arm) == (50, 49)
    assert space.weights[0].tolist() == [10, 1]
    assert space.weights[1].tolist() == [10, 1 + 29 / 6]
    assert space.weights[48].tolist() == [200, 30]
    assert space.weights_by_name(49) == {"repin": 91.6, "p2p": 9.1}


def test_features_are_normalised_weights() -> None:
    space = grid_action_space(AXES)
    assert space.features.dtype == np.float32
    assert space.features[:49].min() == 0
    assert space.features[:49].max() == 1
    np.testing.assert_allclose(space.features[49], [(91.6 - 10) / 190, (9.1 - 1) / 29], rtol=1e-6)


@pytest.mark.parametrize("case", cases("action_space_digests"), ids=str)
def test_digests_and_weights_are_those_of_the_contract(case: Case) -> None:
    assert answer_space(case.given) == case.expected, case.why


def test_another_space_has_another_digest() -> None:
    assert grid_action_space(AXES).digest != grid_action_space(AXES[::-1]).digest
    first = catalogue_action_space("a", ["x"], {"a": [0.0], "b": [1.0]})
    second = catalogue_action_space("a", ["x"], {"a": [0.0], "b": [2.0]})
    assert first.digest != second.digest


def test_a_catalogue_keeps_file_order_and_has_no_weights() -> None:
    space = catalogue_action_space("b", ["x", "y"], {"a": [0, 1], "b": [2, 3], "c": [4, 5]})
    assert space.arm_names == ("a", "b", "c")
    assert space.production_arm == 1
    assert space.weights.shape == (3, 0)
    assert space.features.tolist() == [[0, 1], [2, 3], [4, 5]]


FIRST_DIGESTS = {
    "simulator/experiments/homefeed.toml": "60ded94db41f7b390f4fb297085445df0f399ee53fa08c27d0355f60fd5757d8",
    "simulator/experiments/three_objectives.toml": "1674bc0710a56bdb094f8190cc9d3490e95ecc5005b89794bee3337119f5d451",
    "datasets/open_bandit/experiments/all.toml": "4c78f4417d9009ff8d42736f2f19a2504769842ef14c4726ed7846826d131600",
    "datasets/open_bandit/experiments/women.toml": "c6941c9a7a470536676f1001a764009386856a8dd32fae8c5c0a32c21408a041",
    "datasets/open_bandit/experiments/men.toml": "36b33dac457137df792b39ab9eea3c0ceb3a975632d6142ca7e4190b38e00bbf",
    "tests/upgrades/data/0.1.0/trimtab.toml": "977b34712d46e0074d13bf3c015cd9ed35843eacfc76ec1ddc70cd2b398d9ea1",
    "benchmarks/homefeed.toml": "40838885295394169e01c93f911214f7d5ee602e54b3f3e58bbb2e94580e6e98",
}
"""As the releases before boxes and groups computed them: Actions and checkpoints carry them."""


@pytest.mark.parametrize("file", FIRST_DIGESTS)
def test_files_from_before_boxes_and_groups_keep_their_digests(file: str) -> None:
    assert load_experiment(ROOT / file).action_space.digest == FIRST_DIGESTS[file]


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(1, 9), st.integers(2, 5)), min_size=1, max_size=4))
@settings(max_examples=30)
def test_a_grid_without_groups_is_the_product_of_its_axes(spans: list[tuple[int, int, int]]) -> None:
    axes = [Axis(f"w{n}", 0.0, low, low + length, steps) for n, (low, length, steps) in enumerate(spans)]
    rows = [*product(*(axis.values for axis in axes)), tuple(axis.production for axis in axes)]
    space = grid_action_space(axes)
    assert space.weights.tolist() == [list(map(float, row)) for row in rows]
    assert space.features.shape == space.weights.shape


GROUPED = [
    Axis("repin", 91.6, 10, 200, 3, "saves"),
    Axis("hide", -5, -10, 0, 2),
    Axis("p2p", 9.1, 1, 30, 3, "saves"),
]


def test_the_weights_of_a_group_move_together_at_the_place_of_the_first() -> None:
    space = grid_action_space(GROUPED)
    assert space.weights.tolist() == [
        [10, -10, 1],
        [10, 0, 1],
        [105, -10, 15.5],
        [105, 0, 15.5],
        [200, -10, 30],
        [200, 0, 30],
        [91.6, -5, 9.1],
    ]
    assert space.arm_names[2] == "repin=105/hide=-10/p2p=15.5"
    assert (space.arms, space.production_arm) == (7, 6)
    np.testing.assert_allclose(space.features[:6, 0], space.features[:6, 2])
    assert [[axis.name for axis in members] for members in moving_axes(GROUPED)] == [["repin", "p2p"], ["hide"]]


def test_a_group_is_part_of_the_digest_and_its_absence_is_not() -> None:
    alone = [Axis(axis.name, axis.production, axis.low, axis.high, axis.steps) for axis in GROUPED]
    assert "group" not in alone[0].section
    digests = {
        grid_action_space(axes).digest for axes in (alone, GROUPED, [*GROUPED[:2], Axis("p2p", 9.1, 1, 30, 3, "other")])
    }
    assert len(digests) == 3


def test_an_axis_may_have_the_name_of_another_one_s_group() -> None:
    axes = [Axis("a", 0, 0, 1, 2), Axis("b", 0, 0, 1, 2, "a"), Axis("c", 0, 0, 1, 2, "alone 0")]
    assert grid_action_space(axes).arms == 2**3 + 1


def test_a_group_of_different_steps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"group 'saves'.*'repin' has 3 steps and 'p2p' has 4"):
        grid_action_space([*GROUPED[:2], Axis("p2p", 9.1, 1, 30, 4, "saves")])


BOX = box_action_space([Bounds("repin", 91.6, 10, 200), Bounds("p2p", 1, 1, 30)])


def test_a_box_has_a_vector_and_production() -> None:
    assert (BOX.kind, BOX.arms, BOX.arm_names, BOX.production_arm) == ("box", 2, ("vector", "production"), 1)
    assert BOX.weight_names == ("repin", "p2p")
    assert (BOX.low.tolist(), BOX.high.tolist()) == ([10, 1], [200, 30])
    assert BOX.weights_by_name(1) == {"repin": 91.6, "p2p": 1}
    np.testing.assert_allclose(BOX.features[1], [(91.6 - 10) / 190, 0], rtol=1e-6)


def test_the_vector_of_a_box_has_no_weights_of_its_own() -> None:
    assert np.all(np.isnan(BOX.weights[0]))
    assert np.all(np.isnan(BOX.features[0]))
    with pytest.raises(ValueError, match="take the weights from there"):
        BOX.weights_by_name(0)


@pytest.mark.parametrize("space", [BOX, grid_action_space(GROUPED)], ids=["box", "grid"])
def test_weights_are_normalised_by_their_bounds(space: ActionSpace) -> None:
    assert np.array_equal(
        space.normalised(np.stack([space.low, space.high])), [[0.0] * len(space.low), [1.0] * len(space.low)]
    )
    production = space.weights[space.production_arm]
    np.testing.assert_allclose(space.normalised(production), space.features[space.production_arm], rtol=1e-6)


def test_a_box_is_not_the_grid_of_its_bounds() -> None:
    grid = grid_action_space([Axis("repin", 91.6, 10, 200, 2), Axis("p2p", 1, 1, 30, 2)])
    wider = box_action_space([Bounds("repin", 91.6, 10, 201), Bounds("p2p", 1, 1, 30)])
    assert len({BOX.digest, grid.digest, wider.digest}) == 3
