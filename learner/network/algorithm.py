"""What a learning algorithm must do; everything around it knows no more than this."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from learner.examples.learning_rows import LearningRows
from learner.network.q_learning import QLearning
from learner.network.training import OnProgress, TrainingReport

Tensors = Mapping[str, NDArray[Any]]


class Algorithm(Protocol):
    """One learner's state. `restore`, if at all, comes before `fit`; `score` and `export` after one of the two."""

    @property
    def name(self) -> str:
        """As the experiment file names it."""

    def restore(self, weights: Tensors, optimiser: Tensors) -> None:
        """Continue from an earlier state; raises CheckpointBroken when it does not fit this experiment."""

    def fit(self, rows: LearningRows, on_progress: OnProgress) -> TrainingReport:
        """Learn from `rows`, from the present state on."""

    def score(self, inputs: ModelInput) -> NDArray[np.float32]:
        """Values in [0, 1] of every arm: float32[n, arms, objectives]."""

    def weights(self) -> dict[str, NDArray[Any]]:
        """What serving needs, as named arrays."""

    def optimiser(self) -> dict[str, NDArray[Any]]:
        """What only a warm start needs, as named arrays; may be empty."""

    def export(self, sample: ModelInput) -> bytes:
        """An ONNX graph that computes `score` (docs/reference); `sample` is a real batch to verify it on.

        Raises ExportMismatch when the graph disagrees with `score`, or answers differently alone and in a batch.
        """


def make_algorithm(experiment: Experiment, contract: FeatureContract) -> Algorithm:
    """The algorithm `learner.algorithm` names, in its initial state; raises NothingToLearn for impossible sizes."""
    algorithms = {"q_network": QLearning}
    return algorithms[experiment.learner.algorithm](experiment, contract)
