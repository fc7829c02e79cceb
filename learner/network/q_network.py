"""The value network, after PRL-PUTS: Q_o(s, a) = E[r_o | s, a] for every objective o.

State: category embeddings, encoded history, encoded earlier weights, numbers and user embedding (both normalised by
column), concatenated, through an MLP. Backbone: three blocks of batch normalisation, linear layer, ReLU, on the state.
Action: the normalised weights (Eq. 6) with their squares and products, or the catalogue's features, through a one-layer
MLP, e(a). With h the last hidden values and d the width of e,

    Q_o(s, a) = sigmoid(b_o(h) + t_o(h) · e(a) / √d)        b_o, t_o linear.

PRL-PUTS has the state and e(a) concatenated before the backbone (Eq. 7): see decision 43. Loss: the sum over objectives
of the mean squared error (Eq. 8), over the rows in which the objective was observed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from event_schemas.action_space import ActionSpace
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from feature_contract.model_input import CONTEXT_IDS, CONTEXT_NUMBERS, HISTORY_MASK, PREVIOUS_MASK, USER_EMBEDDING
from learner.examples.learner_errors import NothingToLearn
from learner.network.column_norm import ColumnNorm
from learner.network.history_encoder import EncoderShape, HistoryEncoder
from learner.network.previous_encoder import PreviousEncoder

SMALLEST_RATE = 1e-4
FIRST_TASTE = 0.1
"""By how much a new network's t is scaled down: at first all arms are nearly alike."""
LEAST_VARIANCE = 1e-3
"""Added to variances in the backbone. A hidden value that hardly varies has rounding errors from the sums before it;
this keeps the normalisation from multiplying them by more than about thirty."""


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Every size of the network; a warm start needs equal shapes."""

    contract: FeatureContract
    objectives: int
    embedding_dim: int
    state_dim: int
    action_dim: int
    hidden_dims: tuple[int, int, int]
    attention_heads: int
    transformer_layers: int

    def __post_init__(self) -> None:
        if self.contract.history_length and self.state_dim % self.attention_heads:
            raise NothingToLearn(
                f"learner.state_dim {self.state_dim} is not a multiple of attention_heads {self.attention_heads}",
                fix="change one of the two",
            )
        contract = self.contract
        if not (contract.user_embedding_dim or contract.context or contract.history_length or contract.previous):
            raise NothingToLearn(
                "the experiment file declares no features, so there is no state to learn from",
                fix="declare user_embedding_dim, history_length, previous_length or [[features.context]] in [features]",
            )

    @classmethod
    def of(cls, experiment: Experiment, contract: FeatureContract) -> Self:
        """The sizes that the experiment file's `[learner]` section declares; raises NothingToLearn."""
        spec = experiment.learner
        return cls(
            contract=contract,
            objectives=len(experiment.objective_names),
            embedding_dim=spec.embedding_dim,
            state_dim=spec.state_dim,
            action_dim=spec.action_dim,
            hidden_dims=spec.hidden_dims,
            attention_heads=spec.attention_heads,
            transformer_layers=spec.transformer_layers,
        )


class StateModule(nn.Module):
    """Maps the arrays of a ModelInput to [n, state_dim]."""

    stretches: Tensor

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        contract = shape.contract
        categories, buckets = len(contract.categories), contract.hash_buckets
        width = contract.user_embedding_dim + categories * shape.embedding_dim + contract.number_columns
        if contract.user_embedding_dim:
            # Centred and scaled down, never up: components that hardly vary must not be amplified.
            self.users = ColumnNorm(contract.user_embedding_dim, eps=1.0)
        if categories:
            # One table for all features; each has its own range of rows.
            self.categories = nn.Embedding(categories * buckets, shape.embedding_dim)
            self.register_buffer("stretches", torch.arange(categories) * buckets, persistent=False)
        if contract.number_columns:
            self.numbers = ColumnNorm(contract.number_columns)
        if contract.history_length:
            self.history = HistoryEncoder(_history_shape(shape))
            width += shape.state_dim
        if contract.previous is not None:
            self.previous = PreviousEncoder(contract.previous.length, len(contract.previous.ranges), shape.state_dim)
            width += shape.state_dim
        self.combine = nn.Sequential(nn.Linear(width, 2 * shape.state_dim), nn.ReLU())
        self.project = nn.Sequential(nn.Linear(2 * shape.state_dim, shape.state_dim), nn.ReLU())

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Concatenate the parts that the contract has and map them to the state."""
        parts: list[Tensor] = []
        if USER_EMBEDDING in inputs:
            parts.append(self.users(inputs[USER_EMBEDDING]))
        if CONTEXT_IDS in inputs:
            parts.append(self.categories(inputs[CONTEXT_IDS] + self.stretches).flatten(1))
        if CONTEXT_NUMBERS in inputs:
            parts.append(self.numbers(inputs[CONTEXT_NUMBERS]))
        if HISTORY_MASK in inputs:
            parts.append(self.history(inputs))
        if PREVIOUS_MASK in inputs:
            parts.append(self.previous(inputs))
        state: Tensor = self.project(self.combine(torch.cat(parts, dim=1)))
        return state


class QNetwork(nn.Module):
    """Computes values of logged actions (`logged`) for training, and of all arms (`forward`) for choosing."""

    arm_features: Tensor

    def __init__(self, shape: NetworkShape, arm_features: NDArray[np.float32]) -> None:
        """`arm_features` float32[arms, k] become a constant of the network."""
        super().__init__()
        self.objectives = shape.objectives
        self.register_buffer("arm_features", torch.from_numpy(arm_features.copy()), persistent=False)
        self.state = StateModule(shape)
        self.action = nn.Sequential(nn.Linear(arm_features.shape[1], shape.action_dim), nn.ReLU())
        widths = (shape.state_dim, *shape.hidden_dims)
        self.backbone = nn.Sequential(*(_block(w, v) for w, v in pairwise(widths)))
        self.heads = nn.ModuleList(nn.Linear(widths[-1], 1) for _ in range(shape.objectives))
        self.tastes = nn.ModuleList(nn.Linear(widths[-1], shape.action_dim) for _ in range(shape.objectives))
        with torch.no_grad():
            for parameter in self.tastes.parameters():
                parameter.mul_(FIRST_TASTE)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Q of every arm: [n, arms, objectives] in [0, 1]."""
        rates, tastes = self._of_state(inputs)
        effects = tastes @ self.action(self.arm_features).T
        return torch.sigmoid(rates[:, :, None] + effects).transpose(1, 2)

    def logged(self, inputs: Mapping[str, Tensor], arms: Tensor) -> Tensor:
        """Q of one arm per request: arms int64[n] -> [n, objectives]."""
        rates, tastes = self._of_state(inputs)
        return torch.sigmoid(rates + (tastes * self.action(self.arm_features[arms])[:, None, :]).sum(2))

    def start_from_rates(self, rates: NDArray[np.float64]) -> None:
        """Set the heads' biases so that an untrained network predicts each objective's mean reward, float[objectives].

        Rewards are rare: starting from 0.5, a sigmoid with a squared error would need most of its training to come
        down.
        """
        with torch.no_grad():
            for head, rate in zip(self.heads, np.clip(rates, SMALLEST_RATE, 1 - SMALLEST_RATE), strict=True):
                assert isinstance(head, nn.Linear)
                head.bias.fill_(float(np.log(rate / (1 - rate))))

    def _of_state(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """b [n, objectives], and t / √d [n, objectives, d]."""
        hidden = self.backbone(self.state(inputs))
        tastes = torch.stack([taste(hidden) for taste in self.tastes], dim=1)
        return torch.cat([head(hidden) for head in self.heads], dim=1), tastes / math.sqrt(tastes.shape[2])


def arm_inputs(space: ActionSpace) -> NDArray[np.float32]:
    """float32[arms, k], the features of each arm without squares and products.

    For a grid these are the normalised weights (Eq. 6). A catalogue's features are scaled to mean 0 and deviation 1
    over the arms, because their units are arbitrary; arms without features get an indicator each.
    """
    if space.features.shape[1] == 0:
        return np.eye(space.arms, dtype=np.float32)
    if space.kind == "grid":
        return space.features
    features = space.features.astype(np.float64)  # squares of large features do not fit into float32
    deviation = features.std(axis=0)
    centred = features - features.mean(axis=0)
    return np.asarray(centred / np.where(deviation > 0, deviation, 1.0), dtype=np.float32)


def masked_squared_error(values: Tensor, rewards: Tensor, observed: Tensor) -> Tensor:
    """Eq. 8 with masks: sum over objectives of the mean of (Q − r)² over observed rows; all [n, objectives].

    `observed` is 1 or 0; an objective without an observed row contributes nothing.
    """
    errors = (values - rewards).square() * observed
    return (errors.sum(0) / observed.sum(0).clamp(min=1.0)).sum()


def _block(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(ColumnNorm(width, eps=LEAST_VARIANCE), nn.Linear(width, out), nn.ReLU())


def _history_shape(shape: NetworkShape) -> EncoderShape:
    return EncoderShape(
        item_dim=shape.contract.item_embedding_dim,
        buckets=shape.contract.hash_buckets,
        width=shape.state_dim,
        heads=shape.attention_heads,
        layers=shape.transformer_layers,
    )
