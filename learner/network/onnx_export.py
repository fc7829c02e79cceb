"""Exports the network as an ONNX graph and verifies that the graph computes the same values.

The inputs are the arrays of a ModelInput by name, the output is `q` float32[n, arms, objectives]; n is free, the arms'
features are constants of the graph.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from feature_contract import ModelInput
from learner.examples.learner_errors import ExportMismatch
from learner.network.graph_session import graph_session
from learner.network.linear_values import LinearValues
from learner.network.pair_blocks import rows_at_once
from learner.network.q_network import QNetwork
from learner.network.training import input_tensors

OUTPUT = "q"
TOLERANCE = 1e-4
"""Largest difference in q between network and graph, or between a request alone and in a batch. float32 rounding over a
few layers gave about 1e-6 on all data tried. A serving node allows the same between a request alone and in a batch."""
VERIFIED_ROWS = 256
TRACED_ROWS = 3
OPSET = 18


def export_graph(network: QNetwork | LinearValues, sample: ModelInput) -> bytes:
    """ONNX bytes of `network` (in evaluation mode), verified on `sample` (at least one row).

    Raises ExportMismatch if graph and network differ, or if a request's values depend on its batch.
    """
    # Traced on repeated rows, because torch would make a batch of one a constant of the graph.
    traced = input_tensors(sample.take(np.arange(TRACED_ROWS) % sample.rows))
    with _quiet_exporter(), TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        # The tracing exporter, because the other one loads torch's compiler: ten seconds of CPU in every process.
        torch.onnx.export(
            network,
            (traced, {}),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(traced),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch"} for name in (*traced, OUTPUT)},
        )
        graph = path.read_bytes()
    rows = min(VERIFIED_ROWS, rows_at_once(network.arm_features.shape[0]))
    verify_graph(graph, network, sample.take(slice(0, rows)))
    return graph


def verify_graph(graph: bytes, network: QNetwork | LinearValues, sample: ModelInput) -> None:
    """Raise ExportMismatch unless the graph gives the network's values, in a batch and row by row."""
    session = graph_session(graph)
    with torch.inference_mode():
        expected = network(input_tensors(sample)).numpy()
    together = _run(session, sample)
    _require_close("the exported graph and the network", together, expected)
    for row in range(min(sample.rows, 8)):
        alone = _run(session, sample.take(slice(row, row + 1)))
        _require_close(f"request {row} alone and in a batch", alone, together[row : row + 1])


def _run(session: onnxruntime.InferenceSession, inputs: ModelInput) -> NDArray[np.float32]:
    values: NDArray[np.float32] = session.run([OUTPUT], inputs.feeds())[0]
    return values


def _require_close(what: str, found: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    fix = "nothing was published; report this with the installed versions of torch, onnx and onnxruntime"
    if found.shape != expected.shape:
        raise ExportMismatch(f"{what}: shapes {found.shape} and {expected.shape}", fix=fix)
    if not np.isfinite(found).all():
        raise ExportMismatch(f"{what}: a value is not finite", fix="check the training loss; train from scratch")
    difference = float(np.abs(found - expected).max(initial=0.0))
    if difference > TOLERANCE:
        raise ExportMismatch(f"{what} differ by {difference:.2e}, more than {TOLERANCE:.0e}", fix=fix)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silences torch's exporter, which logs its internal passes; the result is verified afterwards."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
