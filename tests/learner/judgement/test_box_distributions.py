"""The columns of a box."""

from __future__ import annotations

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.exploration import ExplorationDraws
from event_schemas.registry import Registry
from learner.judgement.box_distributions import BoxColumns
from tests.box_samples import DrawnWorld, box_experiment
from tests.learner_samples import World

CODEC = Codec(Registry.bundled())
BOX = box_experiment()


def test_density_and_probabilities_are_those_of_the_draws() -> None:
    frame = World(BOX, CODEC).frame(DrawnWorld(BOX, CODEC).examples(120))
    columns = BoxColumns.of(frame, BOX.action_space)
    draws = ExplorationDraws(BOX.action_space, BOX.exploration)
    assert draws.box is not None
    served = [weights.to_list() for weights in frame["action_weights"]]
    vectors = [weights for weights, vector in zip(served, columns.vector, strict=True) if vector]
    assert columns.cdfs(BOX.exploration) == pytest.approx(np.array([draws.box.cdfs(each) for each in vectors]))
    density = columns.exploring(BOX.exploration).log_density(columns.normalised[columns.vector])
    assert density == pytest.approx([draws.box.log_density(each) for each in vectors])
    assert columns.log_density[columns.vector] == pytest.approx(density)
    assert np.isnan(columns.log_density[~columns.vector]).all()


def test_weights_that_are_not_a_vector_of_the_box_have_no_place() -> None:
    example = World(BOX, CODEC).example(0, 0, 0.875, [0.0] * 4, [0.0, 0.0])
    for weights in ([], [20.0], [20.0, 9.1, 3.0]):
        example["action"]["weights"] = weights
        columns = BoxColumns.of(World(BOX, CODEC).frame([example]), BOX.action_space)
        assert np.isnan(columns.normalised).all()
    example["action"]["weights"] = [200.0 + 1e-10, 1.0]
    assert BoxColumns.of(World(BOX, CODEC).frame([example]), BOX.action_space).normalised.tolist() == [[1.0, 0.0]]
