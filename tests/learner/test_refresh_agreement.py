"""How often a refresh would choose what the serving checkpoint chooses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.serving_checkpoint import ServingCheckpoint
from learner.examples.learning_rows import LearningRows
from learner.refresh_agreement import refresh_agreement
from tests.answer_graphs import preferring_values, softmax_graph
from tests.learner.answering_checkpoints import answering


@pytest.fixture
def rows(world: Any) -> LearningRows:
    made: LearningRows = world.rows(world.examples(200))
    return made


def test_it_is_that_of_the_newest_other_checkpoint(experiment: Experiment, rows: LearningRows, tmp_path: Path) -> None:
    shelf, arms = CheckpointShelf(tmp_path), experiment.action_space.arms
    one = answering(experiment, "values", preferring_values(2, arms), "argmax", version="one")
    drawing = answering(experiment, "probabilities", softmax_graph(2, arms), version="two")
    serving = ServingCheckpoint(one, "one is serving")
    shelf.save(one)
    assert refresh_agreement(rows, serving, shelf, experiment) is None
    shelf.save(replace(one, manifest=one.manifest.model_copy(update={"version": "three"})))
    assert refresh_agreement(rows, serving, shelf, experiment) == 1.0
    shelf.save(drawing)  # "two" is the newest by name
    agreement = refresh_agreement(rows, serving, shelf, experiment)
    assert agreement is not None
    assert 0.0 < agreement < 0.5


def test_nothing_serves_or_nothing_fits(experiment: Experiment, rows: LearningRows, tmp_path: Path) -> None:
    shelf, arms = CheckpointShelf(tmp_path), experiment.action_space.arms
    other = answering(experiment, "values", preferring_values(2, arms), "argmax", action_space="0" * 64, version="one")
    shelf.save(other)
    assert refresh_agreement(rows, ServingCheckpoint(), shelf, experiment) is None
    serving = ServingCheckpoint(answering(experiment, "values", preferring_values(2, arms), "argmax"), "it is serving")
    assert refresh_agreement(rows, serving, shelf, experiment) is None
