"""The training loop: epochs of shuffled batches, identical in every run with the same seed, rows and threads."""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from event_schemas.experiment_sections import LearnerSpec
from feature_contract import ModelInput
from learner.examples.learning_rows import LearningRows
from learner.network.adam_optimiser import AdamOptimiser
from learner.network.q_network import QNetwork, masked_squared_error
from learner.network.training_progress import OnProgress, TrainingProgress, TrainingReport

NORM_ROWS = 50_000
"""Rows from which the batch-norm statistics are computed: with so many, theirs and those of all rows give the same
values to about 3 % of the values' deviation over arms, and a pass over more would only cost time."""
SMALLEST_BATCH = 2
"""Batch normalisation needs two rows."""


@dataclass(frozen=True, eq=False)
class TrainingTensors:
    """LearningRows as tensors."""

    inputs: dict[str, Tensor]
    arms: Tensor
    rewards: Tensor
    observed: Tensor

    @classmethod
    def of(cls, rows: LearningRows) -> "TrainingTensors":
        """The rows as tensors that share memory with the arrays where possible."""
        return cls(
            inputs=input_tensors(rows.inputs),
            arms=torch.from_numpy(rows.arms),
            rewards=torch.from_numpy(rows.rewards),
            observed=torch.from_numpy(rows.observed.astype(np.float32)),
        )

    def batch(self, index: Tensor) -> "TrainingTensors":
        """The rows at `index`."""
        inputs = {name: tensor[index] for name, tensor in self.inputs.items()}
        return TrainingTensors(inputs, self.arms[index], self.rewards[index], self.observed[index])


def input_tensors(inputs: ModelInput) -> dict[str, Tensor]:
    """A ModelInput as the tensors that the network reads."""
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}


def train(
    network: QNetwork,
    optimiser: AdamOptimiser,
    rows: LearningRows,
    spec: LearnerSpec,
    on_progress: OnProgress = lambda _: None,
) -> TrainingReport:
    """Fit `network` to `rows` in place, in `spec.epochs` passes over batches of `spec.batch_size`.

    `spec.seed` determines the shuffle. The step size falls along half a cosine from `spec.learning_rate` to 0
    (Loshchilov and Hutter, 2017): with a constant one the last batches would leave their noise in the weights.
    Afterwards the batch-norm statistics are those of the rows, or of NORM_ROWS drawn from them, under the final
    weights, and the network is in evaluation mode.
    """
    started = time.monotonic()
    data = TrainingTensors.of(rows)
    generator = torch.Generator().manual_seed(spec.seed)
    losses: list[float] = []
    steps = 0
    network.train()
    for epoch in range(spec.epochs):
        batches = batches_of(torch.randperm(rows.count, generator=generator), spec.batch_size)
        total = 0.0
        for place, index in enumerate(batches):
            share = step_share((epoch + place / len(batches)) / spec.epochs)
            total += _step(network, optimiser, data.batch(index), share)
        losses.append(total / len(batches))
        steps += len(batches)
        on_progress(TrainingProgress(epoch + 1, spec.epochs, losses[-1]))
    recompute_batch_norm(network, data, spec.batch_size)
    return TrainingReport(tuple(losses), steps, time.monotonic() - started, torch.get_num_threads())


def step_share(progress: float) -> float:
    """The share of the learning rate after this share of the training, in [0, 1)."""
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def recompute_batch_norm(network: QNetwork, data: TrainingTensors, batch_size: int) -> None:
    """Replace the running averages of the training by the plain averages under the final weights.

    Running averages lag behind the weights. The exported graph uses the averages set here for every request, alone or
    in a batch.
    """
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    # Not in the log's order: a batch from one short time span would only have the variance of that span.
    order = torch.randperm(len(data.arms), generator=torch.Generator().manual_seed(0))[:NORM_ROWS]
    network.train()
    with torch.no_grad():
        for index in batches_of(order, batch_size):
            part = data.batch(index)
            network.logged(part.inputs, part.arms)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def batches_of(order: Tensor, size: int) -> list[Tensor]:
    """`order` cut into the fewest batches of at most `size` rows, of nearly equal size.

    A small last batch would count as much as a full one in every average over batches. A batch too small for
    normalisation is left out.
    """
    batches = torch.tensor_split(order, max(1, -(-len(order) // size)))
    return [batch for batch in batches if len(batch) >= SMALLEST_BATCH]


def _step(network: QNetwork, optimiser: AdamOptimiser, batch: TrainingTensors, share: float) -> float:
    values = network.logged(batch.inputs, batch.arms)
    loss = masked_squared_error(values, batch.rewards, batch.observed)
    optimiser.clear()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step(share)
    return float(loss.detach())
