"""Batch normalisation whose exported graph rounds as the network does.

torch and ONNX Runtime both evaluate a batch norm as x · a + b with a = γ/σ and b = β − μ · a. Where a column hardly
varies around a mean far from zero (a constant, a time), the two terms are large and nearly cancel, and what is left is
the rounding of whoever computed it. Subtracting first leaves nothing to cancel: the difference of two close numbers is
exact, and the same everywhere.
"""

import torch
from torch import Tensor, nn


class ColumnNorm(nn.BatchNorm1d):
    """`nn.BatchNorm1d` with (x − μ) · (γ/σ) + β, in this order, in evaluation mode."""

    def forward(self, input: Tensor) -> Tensor:
        """[n, columns] -> [n, columns]."""
        if self.training:
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        scale = self.weight / torch.sqrt(self.running_var + self.eps)
        return (input - self.running_mean) * scale + self.bias
