"""PRL-PUTS as an Algorithm: the Q-network, its training, and its state as named arrays."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.learning_rows import LearningRows
from learner.network.adam_optimiser import AdamOptimiser
from learner.network.linear_values import linear_arm_columns
from learner.network.onnx_export import export_graph
from learner.network.pair_blocks import rows_at_once
from learner.network.q_network import NetworkShape, QNetwork
from learner.network.training import input_tensors, train
from learner.network.training_progress import OnProgress, TrainingReport
from policy_store.records import Answer

SCORING_ROWS = 4096
KEPT_SHARE = 0.5


class QLearning:
    """Fits the PRL-PUTS value network with Adam.

    A new network starts from the mean rewards of its training rows. A fit that continues an earlier one starts between
    that and a new network (Ash and Adams, 2020, shrink and perturb), without momentum: see decision 42.
    """

    name = "q_network"
    answer: Answer = "values"
    continues = True

    def __init__(self, experiment: Experiment, contract: FeatureContract, kept_share: float = KEPT_SHARE) -> None:
        """`kept_share` in [0, 1] is how much of its earlier weights a later fit starts with."""
        self._spec = experiment.learner
        self._shape = NetworkShape.of(experiment, contract)
        self._arms = linear_arm_columns(experiment.action_space)
        self._kept_share = kept_share
        self._network = self._drawn(self._spec.seed)
        self._fresh = True

    def restore(self, weights: Mapping[str, NDArray[Any]], optimiser: Mapping[str, NDArray[Any]]) -> None:
        """Raises CheckpointBroken if a name or shape differs from this experiment's network."""
        del optimiser  # earlier releases kept the moments of Adam
        try:
            self._network.load_state_dict({name: _tensor(array) for name, array in weights.items()})
        except (RuntimeError, KeyError, TypeError, ValueError) as fault:
            raise CheckpointBroken(
                f"the checkpoint's tensors do not fit this experiment's network: {fault}",
                fix="none needed, the run starts cold; to avoid this message, move the checkpoint's directory away",
            ) from fault
        self._fresh = False

    def fit(self, rows: LearningRows, on_progress: OnProgress = lambda _: None) -> TrainingReport:
        """See `learner.network.training.train`."""
        if self._fresh:
            self._network.start_from_rates(rows.mean_rewards())
        else:
            self._shrink(rows.mean_rewards())
        self._fresh = False
        optimiser = AdamOptimiser.of(self._network, self._spec.learning_rate, self._spec.weight_decay)
        return train(self._network, optimiser, rows, self._spec, on_progress)

    def _shrink(self, rates: NDArray[np.float64]) -> None:
        """Move towards a new network, which the earlier weights determine: another one in every run."""
        earlier = self._network.state_dict()
        content = b"".join(tensor.numpy().tobytes() for tensor in earlier.values())
        drawn = self._drawn(int.from_bytes(blake2b(content, digest_size=7).digest(), "big") ^ self._spec.seed)
        drawn.start_from_rates(rates)
        mixed = {
            name: torch.lerp(new, earlier[name], self._kept_share) if new.is_floating_point() else new
            for name, new in drawn.state_dict().items()
        }
        self._network.load_state_dict(mixed)

    def _drawn(self, seed: int) -> QNetwork:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return QNetwork(self._shape, self._arms)

    def score(self, inputs: ModelInput) -> NDArray[np.float32]:
        """Computes the values with the network itself, in batches that limit memory."""
        self._network.eval()
        size = min(SCORING_ROWS, rows_at_once(self._network.arm_features.shape[0]))
        parts = [inputs.take(slice(start, start + size)) for start in range(0, inputs.rows, size)]
        with torch.inference_mode():
            values = [self._network(input_tensors(part)).numpy() for part in parts]
        shape = (0, self._network.arm_features.shape[0], self._network.objectives)
        return np.concatenate(values) if values else np.zeros(shape, dtype=np.float32)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Parameters and batch-norm statistics."""
        return {name: tensor.detach().numpy().copy() for name, tensor in self._network.state_dict().items()}

    def optimiser(self) -> dict[str, NDArray[Any]]:
        """Nothing: a later fit starts without momentum."""
        return {}

    def export(self, sample: ModelInput) -> bytes:
        """The all-arms forward pass as ONNX, verified against the network."""
        self._network.eval()
        return export_graph(self._network, sample)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
