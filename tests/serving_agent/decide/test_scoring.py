"""The network wrapper: what it returns, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, load_model_from_string

from off_policy.target_policies import alpha_policies, preference_policy
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from serving_agent.decide.scoring import InferenceFailed, PolicyNetwork, best_arm, run_flag
from tests.serving_samples import DIM, graph_bytes, linear_graph, serving_experiment


def test_scores_every_arm_and_objective_of_every_request() -> None:
    bias = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], dtype=np.float32)
    slope = (np.arange(DIM * 6).reshape(DIM, 6) / 100).astype(np.float32)
    users = np.random.default_rng(7).normal(size=(5, DIM)).astype(np.float32)

    q = PolicyNetwork(linear_graph(bias, slope), arms=3, objectives=2).score({"user_embedding": users})

    expected = 1 / (1 + np.exp(-(users @ slope).reshape(5, 3, 2) - bias))
    np.testing.assert_allclose(q, expected, rtol=1e-5)


def test_arrays_the_graph_does_not_read_are_ignored() -> None:
    network = PolicyNetwork(linear_graph(np.zeros((2, 1), np.float32)), arms=2, objectives=1)
    feeds: dict[str, Any] = {
        "user_embedding": np.zeros((1, DIM), np.float32),
        "context_ids": np.zeros((1, 3), np.int64),
    }
    assert network.score(feeds).shape == (1, 2, 1)


def test_missing_input_is_named() -> None:
    network = PolicyNetwork(linear_graph(np.zeros((2, 1), np.float32)), arms=2, objectives=1)
    with pytest.raises(InferenceFailed, match="user_embedding"):
        network.score({})


@pytest.mark.parametrize("graph", [b"", b"not a graph"])
def test_bytes_that_are_no_graph_are_refused(graph: bytes) -> None:
    with pytest.raises(InferenceFailed, match="cannot be loaded"):
        PolicyNetwork(graph, arms=2, objectives=1)


def test_graph_without_q_is_refused() -> None:
    graph = graph_bytes([helper.make_node("Identity", ["user_embedding"], ["q"])], {})
    with pytest.raises(InferenceFailed, match="none of them 'q'"):
        PolicyNetwork(graph.replace(b"\x01q", b"\x01r"), arms=2, objectives=1)


def test_wrong_shape_is_refused() -> None:
    network = PolicyNetwork(linear_graph(np.zeros((2, 1), np.float32)), arms=3, objectives=1)
    with pytest.raises(InferenceFailed, match="3 arms"):
        network.score({"user_embedding": np.zeros((1, DIM), np.float32)})


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01])
def test_values_outside_the_unit_interval_are_refused(value: float) -> None:
    constants = {"raw": np.full((1, 2, 1), value, np.float32), "zero": np.zeros(1, np.float32)}
    nodes = [
        helper.make_node("ReduceMax", ["user_embedding"], ["any"], keepdims=0),
        helper.make_node("Mul", ["any", "zero"], ["nothing"]),
        helper.make_node("Add", ["raw", "nothing"], ["q"]),
    ]
    network = PolicyNetwork(graph_bytes(nodes, constants), arms=2, objectives=1)
    with pytest.raises(InferenceFailed, match="outside"):
        network.score({"user_embedding": np.zeros((1, DIM), np.float32)}, run_flag())


def test_best_arm_weighs_objectives() -> None:
    q = np.array([[0.875, 0.125], [0.5, 0.5], [0.125, 0.75]], dtype=np.float32)
    assert best_arm(q, (1.0, 0.0), ()) == 0
    assert best_arm(q, (0.0, 1.0), ()) == 2
    assert best_arm(q, (0.5, 0.5), ()) == 0


def test_ties_go_to_the_lowest_arm_among_the_eligible() -> None:
    q = np.full((5, 1), 0.25, dtype=np.float32)
    assert best_arm(q, (1.0,), ()) == 0
    assert best_arm(q, (1.0,), (4, 2, 3)) == 2


def test_an_ineligible_arm_is_never_best() -> None:
    q = np.array([[0.1], [0.9], [0.2]], dtype=np.float32)
    assert best_arm(q, (1.0,), (0, 2)) == 2


def test_judges_near_ties_exactly_as_the_evaluation_does() -> None:
    """Arms equal except for rounding: a matrix product would choose others than the sum objective by objective."""
    source = np.random.default_rng(7)
    weights, product_differs = (0.1, 0.7, 0.2), 0
    steps = source.integers(0, 20, (3000, 10, 2))
    gained = 0.25 + (7 * steps[..., :1] + 2 * steps[..., 1:]) / 1024
    q = np.concatenate([gained, 0.75 - steps / 1024], axis=2).astype(np.float32)
    allowed = source.random((3000, 10)) < 0.8
    allowed[:, 7] = True
    judged = preference_policy("p", q.astype(np.float64), weights, allowed).arms
    assert judged is not None
    for row, arm in enumerate(judged):
        assert best_arm(q[row], weights, tuple(np.flatnonzero(allowed[row]).tolist())) == arm
        product = np.where(allowed[row], q[row].astype(np.float64) @ np.array(weights), -np.inf)
        product_differs += int(product.argmax() != arm)
    assert product_differs > 0, "the rows no longer tell the two apart"


def test_alpha_is_weighed_as_the_evaluation_weighs_it() -> None:
    experiment = serving_experiment()
    q = np.random.default_rng(8).random((200, experiment.action_space.arms, 2)).astype(np.float32)
    target = experiment.objective_names.index(experiment.preference.alpha_objective or "")
    for judged in alpha_policies(q.astype(np.float64), target, np.linspace(0, 1, 25).tolist()):
        record = PreferenceRecord(
            experiment="homefeed", revision=1, by="ada", default=PreferenceTarget(alpha=judged.alpha)
        )
        weights = ObjectiveWeights.in_force(experiment, record).of_cohort(None)
        assert weights is not None
        np.testing.assert_array_equal([best_arm(row, weights, ()) for row in q], judged.arms)


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL])
def test_values_that_are_no_floats_are_refused(kind: int) -> None:
    raw = graph_bytes(
        [
            helper.make_node("Cast", ["user_embedding"], ["cast"], to=kind),
            helper.make_node("Unsqueeze", ["cast", "axis"], ["q"]),
        ],
        {"axis": np.array([2], dtype=np.int64)},
    )
    model = load_model_from_string(raw)
    model.graph.output[0].type.tensor_type.elem_type = kind
    network = PolicyNetwork(model.SerializeToString(), arms=DIM, objectives=1)
    with pytest.raises(InferenceFailed, match="floating-point"):
        network.score({"user_embedding": np.zeros((1, DIM), np.float32)})


def test_one_answer_for_many_requests_is_refused() -> None:
    constants = {"raw": np.full((1, 2, 1), 0.5, np.float32), "zero": np.zeros(1, np.float32)}
    nodes = [
        helper.make_node("ReduceMax", ["user_embedding"], ["any"], keepdims=0),
        helper.make_node("Mul", ["any", "zero"], ["nothing"]),
        helper.make_node("Add", ["raw", "nothing"], ["q"]),
    ]
    network = PolicyNetwork(graph_bytes(nodes, constants), arms=2, objectives=1)
    with pytest.raises(InferenceFailed, match="shape"):
        network.score({"user_embedding": np.zeros((4, DIM), np.float32)})
