"""Graphs are loaded and run, or refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, load_model_from_string

from serving_agent.decide.policy_graph import InferenceFailed, PolicyGraph, run_flag
from tests.answer_graphs import proposing_graph, softmax_graph
from tests.serving_samples import DIM, graph_bytes, linear_graph

ONE = np.zeros((1, DIM), np.float32)


def test_outputs_come_in_the_order_asked_for() -> None:
    graph = PolicyGraph(proposing_graph([100.0, 5.0], [20.0, 3.0]), ["log_sd", "w"])
    log_sd, mean = graph.run({"user_embedding": np.zeros((2, DIM), np.float32), "unread": ONE}, run_flag())
    assert mean == pytest.approx(np.array([[100.0, 5.0]] * 2))
    assert np.exp(log_sd) == pytest.approx(np.array([[20.0, 3.0]] * 2))


def test_missing_input_is_named() -> None:
    with pytest.raises(InferenceFailed, match="user_embedding"):
        PolicyGraph(linear_graph(np.zeros((2, 1), np.float32)), ["q"]).run({})


@pytest.mark.parametrize("graph", [b"", b"not a graph"])
def test_bytes_that_are_no_graph_are_refused(graph: bytes) -> None:
    with pytest.raises(InferenceFailed, match="cannot be loaded"):
        PolicyGraph(graph, ["q"])


def test_a_graph_without_an_output_is_refused() -> None:
    with pytest.raises(InferenceFailed, match=r"has outputs \['pi'\], none of them 'q'"):
        PolicyGraph(softmax_graph(1, 3), ["q"])


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL])
def test_values_that_are_no_floats_are_refused(kind: int) -> None:
    model = load_model_from_string(graph_bytes([helper.make_node("Cast", ["user_embedding"], ["q"], to=kind)], {}))
    model.graph.output[0].type.tensor_type.elem_type = kind
    with pytest.raises(InferenceFailed, match="floating-point"):
        PolicyGraph(model.SerializeToString(), ["q"]).run({"user_embedding": ONE})


def test_one_answer_for_many_requests_is_refused() -> None:
    graph = graph_bytes([helper.make_node("ReduceMax", ["user_embedding"], ["q"], axes=[0])], {})
    with pytest.raises(InferenceFailed, match="not a row for each of 4 requests"):
        PolicyGraph(graph, ["q"]).run({"user_embedding": np.zeros((4, DIM), np.float32)})


def test_a_forked_child_loads_it_again() -> None:
    graph = PolicyGraph(softmax_graph(1, 3), ["pi"])
    before = graph.run({"user_embedding": ONE})[0]
    graph.after_fork()
    assert graph.run({"user_embedding": ONE})[0] == pytest.approx(before)
