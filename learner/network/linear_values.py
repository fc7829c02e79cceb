"""Linear values of arms: Q_o(s, a) = Σ_jp B_o[j, p] · φ_j(a) · z_p(s) + c_o[a], for every objective o.

z are the state's columns, standardised over the training rows, after a constant; φ are the arm's features after a
constant; c is an effect of each arm by itself. It is a ridge regression's prediction (see `ridge_fit`), which may leave
[0, 1]: near the ends it bends, without ever giving two predictions the same value.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from event_schemas.action_space import ActionSpace
from feature_contract.model_input import (
    CONTEXT_IDS,
    CONTEXT_NUMBERS,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    HISTORY_ITEMS,
    HISTORY_MASK,
    PREVIOUS_AGES,
    PREVIOUS_MASK,
    PREVIOUS_WEIGHTS,
    USER_EMBEDDING,
)
from learner.network.q_network import arm_inputs

WIDEST = 8.0
"""Standard deviations beyond which a column says no more: nothing is known so far from the training rows."""
BEND = 0.1
"""Predictions bend below this share of an objective's mean reward, and likewise near 1."""
LEVELS_AT_MOST = 256
"""With more arms, none has an effect by itself beside its features."""

CATEGORY_FEATURES, CATEGORY_BUCKETS, ACTION_BUCKETS = "category_features", "category_buckets", "action_buckets"
MEANS, SCALES, COEFFICIENTS, ARM_EFFECTS, RATES = "means", "scales", "coefficients", "arm_effects", "rates"
PAIRS, PAIR_MEANS, PAIR_SCALES = "pairs", "pair_means", "pair_scales"
KEPT_VALUES = (CATEGORY_FEATURES, CATEGORY_BUCKETS, ACTION_BUCKETS)
ARRAYS = (*KEPT_VALUES, PAIRS, MEANS, SCALES, PAIR_MEANS, PAIR_SCALES, COEFFICIENTS, ARM_EFFECTS, RATES)
"""A state by name: what `LinearValues` is made of."""


class LinearValues(nn.Module):
    """Computes the values of all arms; every array is a constant of the graph."""

    arm_features: Tensor
    design: Tensor

    def __init__(self, arrays: Mapping[str, NDArray[Any]], arm_columns: NDArray[np.float32]) -> None:
        """`arrays` are those of ARRAYS; `arm_columns` float32[arms, k] are φ without its constant.

        int64[c] category_features and category_buckets: the categories that have an indicator; int64[h]
        action_buckets: the same of the history's action types; int64[m, 2] pairs: the columns that are multiplied with
        each other. float32[d] means and scales of the columns; float32[m] pair_means and pair_scales of the products;
        coefficients float32[1 + k, 1 + d + m, objectives]; arm_effects float32[arms, objectives]; rates
        float32[objectives], mean rewards in (0, 1). Raises ValueError if shapes do not fit together.
        """
        super().__init__()
        for name in ARRAYS:
            array = np.asarray(arrays[name], dtype=np.int64 if name in (*KEPT_VALUES, PAIRS) else np.float32)
            self.register_buffer(name, torch.from_numpy(array.copy()))
        width, pairs = len(arrays[MEANS]), len(arrays[PAIRS])
        self.objectives = len(arrays[RATES])
        shapes = {
            COEFFICIENTS: (1 + arm_columns.shape[1], 1 + width + pairs, self.objectives),
            ARM_EFFECTS: (len(arm_columns), self.objectives),
            SCALES: (width,),
            PAIRS: (pairs, 2),
            PAIR_MEANS: (pairs,),
            PAIR_SCALES: (pairs,),
        }
        found = {name: arrays[name].shape for name in shapes}
        if found != shapes:
            raise ValueError(f"arrays of shapes {found}, not {shapes}")
        self.register_buffer("arm_features", torch.from_numpy(arm_columns.copy()), persistent=False)
        self.register_buffer("design", torch.from_numpy(with_constant(arm_columns)), persistent=False)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Values of every arm: [n, arms, objectives] in (0, 1)."""
        effects = torch.einsum("np,jpo->njo", self.columns(inputs), self._array(COEFFICIENTS))
        values = torch.einsum("aj,njo->nao", self.design, effects) + self._array(ARM_EFFECTS)
        rates = self._array(RATES)
        return bent(values, BEND * rates, BEND * (1.0 - rates))

    def columns(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """z: [n, 1 + columns], a constant before the standardised columns and, if there are any, their products."""
        raw = raw_columns(inputs, *(self._array(name) for name in KEPT_VALUES))
        standard = standardised(raw, self._array(MEANS), self._array(SCALES))
        parts = [torch.ones_like(raw[:, :1]), standard]
        if len(pairs := self._array(PAIRS)):
            products = standard[:, pairs[:, 0]] * standard[:, pairs[:, 1]]
            parts.append(standardised(products, self._array(PAIR_MEANS), self._array(PAIR_SCALES)))
        return torch.cat(parts, dim=1)

    def _array(self, name: str) -> Tensor:
        found: Tensor = self.get_buffer(name)
        return found


def raw_columns(
    inputs: Mapping[str, Tensor], category_features: Tensor, category_buckets: Tensor, action_buckets: Tensor
) -> Tensor:
    """The state's columns before they are standardised: [n, d].

    The user's embedding; an indicator of each common category; the numbers; of the history the averages over all
    actions, and over all weighted by 1 / (1 + age in minutes), of indicators of the action types, of the age and of the
    items' embeddings; the weights served before, their ages and which of them there are.
    """
    return torch.cat(column_parts(inputs, category_features, category_buckets, action_buckets), dim=1)


def column_parts(
    inputs: Mapping[str, Tensor], category_features: Tensor, category_buckets: Tensor, action_buckets: Tensor
) -> list[Tensor]:
    """The same by where they come from: user, categories, numbers, history, earlier weights; those that there are."""
    parts: list[Tensor] = []
    if USER_EMBEDDING in inputs:
        parts.append(inputs[USER_EMBEDDING])
    if CONTEXT_IDS in inputs:
        parts.append((inputs[CONTEXT_IDS][:, category_features] == category_buckets).to(torch.float32))
    if CONTEXT_NUMBERS in inputs:
        parts.append(inputs[CONTEXT_NUMBERS])
    if HISTORY_MASK in inputs:
        parts.append(_history(inputs, action_buckets))
    if PREVIOUS_MASK in inputs:
        earlier = [inputs[PREVIOUS_WEIGHTS].flatten(1), inputs[PREVIOUS_AGES], inputs[PREVIOUS_MASK]]
        parts.append(torch.cat(earlier, dim=1))
    return parts


def _history(inputs: Mapping[str, Tensor], action_buckets: Tensor) -> Tensor:
    mask, ages = inputs[HISTORY_MASK], inputs[HISTORY_AGES]
    shown = [(inputs[HISTORY_ACTIONS][:, :, None] == action_buckets).to(torch.float32), ages[:, :, None]]
    if HISTORY_ITEMS in inputs:
        shown.append(inputs[HISTORY_ITEMS])
    actions, parts = torch.cat(shown, dim=2), [mask.mean(1, keepdim=True)]
    for weights in (mask, mask * torch.exp(-ages)):
        shares = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
        parts.append((actions * shares[:, :, None]).sum(1))
    return torch.cat(parts, dim=1)


def standardised(columns: Tensor, means: Tensor, scales: Tensor) -> Tensor:
    """(columns − means) · scales, at most WIDEST away from 0."""
    return ((columns - means) * scales).clamp(-WIDEST, WIDEST)


def bent(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """`values` [..., objectives] inside [low, 1 − high], and beyond them exponentially towards 0 and 1: still in order.

    Both ends join smoothly. Clipping would give all unlikely arms the same value.
    """
    below = low * torch.exp((values / low - 1.0).clamp(max=0.0))
    above = 1.0 - high * torch.exp(((1.0 - values) / high - 1.0).clamp(max=0.0))
    return torch.where(values < low, below, torch.where(values > 1.0 - high, above, values))


def linear_arm_columns(space: ActionSpace) -> NDArray[np.float32]:
    """float32[arms, k], φ without its constant, each with mean 0 and deviation 1 over the arms.

    For a grid the normalised weights with their squares and products, so that the best weights may lie inside it; else
    what the network reads (`arm_inputs`).
    """
    features = arm_inputs(space)
    if space.kind != "grid" or space.features.shape[1] == 0:
        return features
    first, second = np.triu_indices(features.shape[1])
    centred = features.astype(np.float64) - 0.5
    columns = np.concatenate([centred, centred[:, first] * centred[:, second]], axis=1)
    deviation = columns.std(axis=0)
    scaled = (columns - columns.mean(axis=0)) / np.where(deviation > 1e-9, deviation, 1.0)
    return np.asarray(scaled, dtype=np.float32)


def has_arm_effects(arm_columns: NDArray[np.float32]) -> bool:
    """Whether each arm has an effect by itself: not if its features are an indicator already, or if there are many."""
    return bool(arm_columns.shape[1] < len(arm_columns) <= LEVELS_AT_MOST)


def with_constant(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32[n, 1 + k]: the columns after a column of ones."""
    return np.concatenate([np.ones((len(columns), 1), dtype=np.float32), columns], axis=1)
