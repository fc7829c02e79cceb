"""Encodes the weights that the user was served before as one vector.

There are few of them and their order matters, so one layer over all of them side by side is enough. Each row is
computed by itself: a request has the same values alone and in a batch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from feature_contract.model_input import PREVIOUS_AGES, PREVIOUS_MASK, PREVIOUS_WEIGHTS


class PreviousEncoder(nn.Module):
    """Maps the previous arrays of a ModelInput to [n, width]: a linear layer over [n, P · (W + 2)] and a ReLU."""

    def __init__(self, length: int, weights: int, width: int) -> None:
        """`length` is P, the number of earlier decisions, and `weights` is W, the weights of each."""
        super().__init__()
        self.entries = nn.Linear(length * (weights + 2), width)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The encoded decisions; absent ones are zeros with mask 0."""
        parts = [inputs[PREVIOUS_WEIGHTS].flatten(1), inputs[PREVIOUS_AGES], inputs[PREVIOUS_MASK]]
        return torch.relu(self.entries(torch.cat(parts, dim=1)))
