"""Networks by what they answer: what they return, and what they refuse."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from policy_store.records import Answer
from serving_agent.decide.policy_answers import ArmProbabilities, BoxProposals
from serving_agent.decide.policy_graph import InferenceFailed
from serving_agent.decide.policy_networks import (
    ProbabilityNetwork,
    ProposalNetwork,
    ValueNetwork,
    answer_arrays,
    answer_network,
    with_preference,
)
from tests.answer_graphs import preferring_graph, proposing_graph, softmax_graph
from tests.serving_samples import DIM, box_experiment, graph_bytes, linear_graph, preferring, serving_experiment

USERS = np.random.default_rng(7).normal(size=(5, DIM)).astype(np.float32)
GRID, BOX = serving_experiment(), box_experiment()


def test_scores_every_arm_and_objective_of_every_request() -> None:
    bias = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]], dtype=np.float32)
    slope = (np.arange(DIM * 6).reshape(DIM, 6) / 100).astype(np.float32)
    q = ValueNetwork(linear_graph(bias, slope), arms=3, objectives=2).score({"user_embedding": USERS})
    expected = 1 / (1 + np.exp(-(USERS @ slope).reshape(5, 3, 2) - bias))
    np.testing.assert_allclose(q, expected, rtol=1e-5)


def test_probabilities_of_every_arm() -> None:
    answer = ProbabilityNetwork(softmax_graph(2, 5), arms=5).score({"user_embedding": USERS})
    assert isinstance(answer, ArmProbabilities)
    odds = np.exp(2.0 + 0.5 * np.tanh(USERS[:, 0]))
    assert answer.probabilities[:, 2] == pytest.approx(odds / (odds + 4), rel=1e-5)
    assert answer.probabilities[:, 0] == pytest.approx(1 / (odds + 4), rel=1e-5)


def test_proposals_have_their_sd_from_its_logarithm() -> None:
    answer = ProposalNetwork(proposing_graph([100.0, 5.0], [20.0, 3.0]), weights=2).score({"user_embedding": USERS})
    assert isinstance(answer, BoxProposals)
    assert answer.mean[:, 0] == pytest.approx(100.0 + np.tanh(USERS[:, 0]), rel=1e-6)
    assert answer.mean[:, 1] == pytest.approx(5.0)
    assert answer.sd == pytest.approx(np.array([[20.0, 3.0]] * 5), rel=1e-6)


def test_an_sd_beyond_all_numbers_is_no_warning() -> None:
    network = ProposalNetwork(proposing_graph([100.0, 5.0], [3e38, 3e38]), weights=2)
    assert np.isfinite(network.score({"user_embedding": USERS}).sd).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert answer_arrays(BoxProposals(np.zeros((1, 1)), np.zeros((1, 1))))["log_sd"][0, 0] == -np.inf


def test_a_network_may_answer_for_any_preference() -> None:
    network = ProbabilityNetwork(preferring_graph(2, 4), arms=4)
    one, other = (
        network.score(with_preference({"user_embedding": USERS}, weights, 5)).probabilities
        for weights in ((1.0, 0.0), (0.25, 0.75))
    )
    assert (one.argmax(axis=1) == 0).all()
    assert (other.argmax(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("answer", "graph", "message"),
    [
        ("values", linear_graph(np.zeros((2, 1), np.float32)), r"q has shape .* not \(n, .* arms, 2 objectives\)"),
        ("probabilities", softmax_graph(0, 3), r"pi has shape \(5, 3\), not \(n, .* arms\)"),
        ("proposal", proposing_graph([1.0], [1.0]), r"w has shape \(5, 1\), not \(n, 2 weights\)"),
    ],
)
def test_wrong_shapes_are_refused(answer: Answer, graph: bytes, message: str) -> None:
    space = (BOX if answer == "proposal" else GRID).action_space
    network = answer_network(answer, graph, space, 2)
    with pytest.raises(InferenceFailed, match=message):
        network.score({"user_embedding": USERS})


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.01, 1.01])
def test_values_outside_the_unit_interval_are_refused(value: float) -> None:
    constants = {"raw": np.full((1, 2, 1), value, np.float32), "zero": np.zeros(1, np.float32)}
    nodes = [
        helper.make_node("ReduceMax", ["user_embedding"], ["any"], keepdims=0),
        helper.make_node("Mul", ["any", "zero"], ["nothing"]),
        helper.make_node("Add", ["raw", "nothing"], ["q"]),
    ]
    network = ValueNetwork(graph_bytes(nodes, constants), arms=2, objectives=1)
    with pytest.raises(InferenceFailed, match="outside"):
        network.score({"user_embedding": np.zeros((1, DIM), np.float32)})


def test_the_arrays_of_an_answer() -> None:
    q: NDArray[np.float32] = ValueNetwork(preferring(GRID, repin=1), arms=GRID.action_space.arms, objectives=2).score(
        {"user_embedding": USERS}
    )
    assert list(answer_arrays(q)) == ["q"]
    assert list(answer_arrays(ArmProbabilities(q[:, :, 0]))) == ["pi"]
    arrays = answer_arrays(BoxProposals(np.ones((2, 2)), np.full((2, 2), np.e)))
    assert arrays["w"].tolist() == arrays["log_sd"].tolist() == [[1.0, 1.0]] * 2
