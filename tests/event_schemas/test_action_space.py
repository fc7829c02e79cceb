"""Arms in the promised order, features within [0, 1] on the grid, a digest of nothing but the action space."""

from __future__ import annotations

import numpy as np
import pytest

from event_schemas.action_space import Axis, catalogue_action_space, grid_action_space
from tests.conformance.present_code import answer_space
from tests.conformance.vector_files import Case, cases

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
