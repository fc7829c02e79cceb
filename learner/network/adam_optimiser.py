"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

It uses torch's functional form, because creating one of torch's optimiser classes loads its compiler, which would cost
the learner seconds at every start and is not needed.
"""

from collections.abc import Mapping
from typing import Self

import torch
from torch import nn
from torch.optim.adamw import adamw

STEP, MEAN, SQUARE = "step", "exp_avg", "exp_avg_sq"
BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamOptimiser:
    """Steps `parameters` (by name) in place along their gradients; starts without momentum."""

    def __init__(self, parameters: Mapping[str, nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        self._parameters = dict(parameters)
        self._learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._moments = {
            **{f"{STEP}.{name}": torch.zeros(()) for name in self._parameters},
            **{f"{MEAN}.{name}": torch.zeros_like(value.data) for name, value in self._parameters.items()},
            **{f"{SQUARE}.{name}": torch.zeros_like(value.data) for name, value in self._parameters.items()},
        }

    @classmethod
    def of(cls, network: nn.Module, learning_rate: float, weight_decay: float) -> Self:
        """An optimiser of all parameters of `network`."""
        return cls(dict(network.named_parameters()), learning_rate, weight_decay)

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None

    def step(self, share: float = 1.0) -> None:
        """One step for every parameter that has a gradient, at this share of the learning rate."""
        moved = {name: value for name, value in self._parameters.items() if value.grad is not None}
        with torch.no_grad():
            adamw(
                list(moved.values()),
                [value.grad for value in moved.values() if value.grad is not None],
                [self._moments[f"{MEAN}.{name}"] for name in moved],
                [self._moments[f"{SQUARE}.{name}"] for name in moved],
                [],
                [self._moments[f"{STEP}.{name}"] for name in moved],
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=share * self._learning_rate,
                weight_decay=self._weight_decay,
                eps=EPSILON,
                maximize=False,
            )
