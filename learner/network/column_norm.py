"""Batch normalisation whose exported graph gives the same values as the network.

torch and ONNX Runtime both evaluate a batch norm as x · a + b with a = γ/σ and b = β − μ · a. If a column hardly varies
around a mean far from zero (a constant, a time), the two terms are large and nearly cancel, so the result is mostly
rounding error, which differs between the two. This version subtracts first: the difference of two close numbers is
exact and thus the same everywhere.
"""

import torch
from torch import Tensor, nn


class ColumnNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` that computes (x − μ) · (γ/σ) + β, in this order, in evaluation mode."""

    def forward(self, input: Tensor) -> Tensor:
        """[n, columns] -> [n, columns]."""
        if self.training:
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        scale = self.weight / torch.sqrt(self.running_var + self.eps)
        return (input - self.running_mean) * scale + self.bias
