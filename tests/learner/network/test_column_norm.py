"""It is a batch norm, and the exported graph gives the same values even if a column hardly varies."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from learner.network.column_norm import ColumnNorm
from learner.network.graph_session import graph_session


def trained(values: torch.Tensor, eps: float = 1e-5) -> tuple[ColumnNorm, nn.BatchNorm1d]:
    """Both over the same batch, their statistics those of the batch."""
    norms = ColumnNorm(values.shape[1], eps=eps, momentum=None), nn.BatchNorm1d(values.shape[1], eps=eps, momentum=None)
    for norm in norms:
        norm.train()(values)
        norm.eval()
    return norms


def test_it_computes_what_the_batch_norm_of_torch_does() -> None:
    values = torch.randn(64, 5, generator=torch.Generator().manual_seed(1)) * 3 + 1
    norm, plain = trained(values)
    torch.testing.assert_close(norm(values), plain(values), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norm.train()(values), plain.train()(values))
    assert norm.state_dict().keys() == plain.state_dict().keys()


def exported(norm: nn.Module, sample: torch.Tensor, path: Path) -> bytes:
    torch.onnx.export(norm, (sample,), path, dynamo=False, opset_version=18, input_names=["x"], output_names=["q"])
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@settings(max_examples=15, deadline=None)
@given(mean=st.floats(-450, 450, width=32), spread=st.sampled_from([0.0, 1e-6, 1e-3, 1.0]))
def test_the_graph_rounds_as_the_network_does(
    mean: float, spread: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    values = mean + spread * torch.randn(64, 3, generator=torch.Generator().manual_seed(2))
    norm, _ = trained(values)
    [graph] = graph_session(exported(norm, values, tmp_path_factory.getbasetemp() / "norm.onnx")).run(
        ["q"], {"x": values.numpy()}
    )
    np.testing.assert_allclose(graph, norm(values).detach().numpy(), rtol=1e-6, atol=1e-6)
