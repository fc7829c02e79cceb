"""A report on a small world, made once for all tests that look at one."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.registry import Registry
from learner.examples.stored_files import stored_examples
from learner.learner_run import Learner
from learner.policy_comparison import Question
from learner.policy_report import ReportContent, ReportOptions, report_content
from policy_store.records.objective_weights import ObjectiveWeights
from tests.learner_samples import NOW, World, experiment_document, ingested, tallied

EXAMPLES = 4000


def linear_document() -> dict[str, object]:
    """The small experiment with a linear fit, which takes no time."""
    document = experiment_document()
    short = {"algorithm": "linear", "train_window": "8h", "holdout_window": "3h", "alpha_steps": 3}
    return document | {"learner": document["learner"] | short}


@cache
def sample_content() -> ReportContent:
    """With all parts, also the fits to single groups of features."""
    experiment = Experiment.model_validate(linear_document())
    world = World(experiment, Codec(Registry.bundled()))
    examples = world.examples(EXAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        ingested(world, examples, directory)
        learner = Learner(experiment, directory, lambda: NOW, tallies=lambda: tallied(experiment, examples))
        learner.run(ObjectiveWeights.in_force(experiment))
        frame = stored_examples(learner.examples_directory)
        return report_content(
            Question("learned"), frame, learner.shelf, experiment, options=ReportOptions(isolate=True)
        )
