"""The interface of learning algorithms; the rest of the learner uses nothing else of them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from learner.examples.learning_rows import LearningRows
from learner.network.linear_learning import LinearLearning
from learner.network.q_learning import QLearning
from learner.network.training_progress import OnProgress, TrainingReport
from policy_store.records import Answer

Tensors = Mapping[str, NDArray[Any]]


class Algorithm(Protocol):
    """An algorithm and its state. Call `restore`, if at all, before `fit`; call `score` and `export` after either."""

    @property
    def name(self) -> str:
        """Its name in the experiment file."""

    @property
    def continues(self) -> bool:
        """Whether a fit depends on the state before it; if not, every run starts cold."""

    @property
    def answer(self) -> Answer:
        """What its exported graph answers; `score` is there only for values."""

    def restore(self, weights: Tensors, optimiser: Tensors) -> None:
        """Continue from an earlier state; raises CheckpointBroken if it does not fit this experiment."""

    def fit(self, rows: LearningRows, on_progress: OnProgress) -> TrainingReport:
        """Train on `rows`, starting from the present state."""

    def score(self, inputs: ModelInput) -> NDArray[np.float32]:
        """The values in [0, 1] of every arm: float32[n, arms, objectives]."""

    def weights(self) -> dict[str, NDArray[Any]]:
        """The arrays that serving needs, by name."""

    def optimiser(self) -> dict[str, NDArray[Any]]:
        """The arrays that only a warm start needs, by name; may be empty."""

    def export(self, sample: ModelInput) -> bytes:
        """An ONNX graph that computes `score` (docs/reference); `sample` is a real batch to verify it on.

        Raises ExportMismatch if the graph disagrees with `score`, or if a request's values depend on its batch.
        """


def make_algorithm(experiment: Experiment, contract: FeatureContract) -> Algorithm:
    """The algorithm named by `learner.algorithm`, in its initial state; raises NothingToLearn for impossible sizes."""
    algorithms: dict[str, Callable[[Experiment, FeatureContract], Algorithm]] = {
        "q_network": QLearning,
        "linear": LinearLearning,
        "linear_pairs": partial(LinearLearning, pairs=True),
    }
    return algorithms[experiment.learner.algorithm](experiment, contract)
