"""Tiny ONNX policies that answer with distributions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.serving_samples import DIM, graph_bytes


def softmax_graph(preferred: int, arms: int) -> bytes:
    """`pi`: prefers one arm, by a little more for users with a larger first number."""
    logits, slope = np.zeros((1, arms), np.float32), np.zeros((DIM, arms), np.float32)
    logits[0, preferred] = 2.0
    slope[0, preferred] = 0.5
    nodes = [
        helper.make_node("Tanh", ["user_embedding"], ["bounded"]),
        helper.make_node("Gemm", ["bounded", "slope", "logits"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["pi"], axis=1),
    ]
    return graph_bytes(nodes, {"slope": slope, "logits": logits}, outputs=("pi",))


def preferring_graph(objectives: int, arms: int) -> bytes:
    """`pi` for any preference: arm o in proportion to e^(5 weight of objective o)."""
    slope = np.zeros((objectives, arms), np.float32)
    np.fill_diagonal(slope, 5.0)
    nodes = [
        helper.make_node("Tanh", ["user_embedding"], ["bounded"]),
        helper.make_node("Gemm", ["bounded", "little"], ["users"]),
        helper.make_node("Gemm", ["preference", "slope", "users"], ["sums"]),
        helper.make_node("Softmax", ["sums"], ["pi"], axis=1),
    ]
    little = np.zeros((DIM, arms), np.float32)
    little[:, 0] = 0.01
    return graph_bytes(nodes, {"slope": slope, "little": little}, outputs=("pi",), preference=objectives)


def proposing_graph(mean: Sequence[float], sd: Sequence[float], slope: float = 1.0) -> bytes:
    """`w` and `log_sd`: normal around `mean` + slope · tanh of the user's first number, in the first weight."""
    slopes = np.zeros((DIM, len(mean)), np.float32)
    slopes[0, 0] = slope
    nodes = [
        helper.make_node("Tanh", ["user_embedding"], ["bounded"]),
        helper.make_node("Gemm", ["bounded", "slopes", "mean"], ["w"]),
        helper.make_node("Gemm", ["bounded", "none", "spread"], ["log_sd"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "slopes": slopes,
        "none": np.zeros_like(slopes),
        "mean": np.array([mean], np.float32),
        "spread": np.log(np.array([sd], np.float32)),
    }
    return graph_bytes(nodes, constants, outputs=("w", "log_sd"))


def negative_graph(arms: int) -> bytes:
    """`pi`: -1 for every arm, which is no probability."""
    constants: dict[str, NDArray[Any]] = {
        "zeros": np.zeros((DIM, arms), np.float32),
        "less": np.full((1, arms), -1.0, np.float32),
    }
    return graph_bytes(
        [helper.make_node("Gemm", ["user_embedding", "zeros", "less"], ["pi"])], constants, outputs=("pi",)
    )


def constant_graph(output: str, value: NDArray[Any]) -> bytes:
    """A graph without inputs, which answers with `value`."""
    kind = TensorProto.FLOAT if value.dtype.kind == "f" else TensorProto.INT64
    graph = helper.make_graph(
        [helper.make_node("Identity", ["value"], [output])],
        "policy",
        [],
        [helper.make_tensor_value_info(output, kind, list(value.shape))],
        [numpy_helper.from_array(value, "value")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


def preferring_values(objectives: int, arms: int) -> bytes:
    """`q` for any preference, alike for all objectives: highest for arm o if objective o weighs most."""
    slope = np.zeros((objectives, arms * objectives), np.float32)
    for objective in range(objectives):
        slope[objective, objective * objectives : (objective + 1) * objectives] = 5.0
    nodes = [
        helper.make_node("Gemm", ["user_embedding", "little"], ["users"]),
        helper.make_node("Gemm", ["preference", "slope", "users"], ["sums"]),
        helper.make_node("Sigmoid", ["sums"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["q"]),
    ]
    constants: dict[str, NDArray[Any]] = {
        "slope": slope,
        "little": np.full((DIM, arms * objectives), 1e-3, np.float32),
        "shape": np.array([-1, arms, objectives], np.int64),
    }
    return graph_bytes(nodes, constants, preference=objectives)
