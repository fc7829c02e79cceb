"""The graph that serves computes what was trained, alone and in any batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, ModelInput
from learner.examples.learner_errors import ExportMismatch
from learner.network.graph_session import graph_session
from learner.network.onnx_export import TOLERANCE, export_graph, verify_graph
from learner.network.q_network import NetworkShape, QNetwork, arm_inputs


def network_of(experiment: Experiment) -> QNetwork:
    torch.manual_seed(0)
    shape = NetworkShape.of(experiment, FeatureContract.from_experiment(experiment))
    return QNetwork(shape, arm_inputs(experiment.action_space)).eval()


@pytest.fixture
def sample(world: Any) -> ModelInput:
    inputs: ModelInput = world.rows(world.examples(40)).inputs
    return inputs


def test_any_batch_gives_a_request_the_same_values(experiment: Experiment, sample: ModelInput) -> None:
    session = graph_session(export_graph(network_of(experiment), sample))
    assert {node.name for node in session.get_inputs()} == set(sample)
    [together] = session.run(["q"], sample.feeds())
    assert together.shape == (40, 10, 2)
    for size in (1, 2, 7):
        parts = [sample.take(slice(i, i + size)) for i in range(0, 40, size)]
        values = np.concatenate([session.run(["q"], part.feeds())[0] for part in parts])
        np.testing.assert_allclose(values, together, atol=TOLERANCE)


def test_a_single_row_is_enough_to_export_from(make_experiment: Callable[..., Experiment], make_world: Any) -> None:
    experiment = make_experiment(features={"user_embedding_dim": 4})
    one = make_world(experiment).rows(make_world(experiment).examples(1)).inputs
    session = graph_session(export_graph(network_of(experiment), one))
    assert session.run(["q"], {"user_embedding": np.zeros((5, 4), np.float32)})[0].shape == (5, 10, 2)


def test_a_graph_of_another_network_is_not_verified(experiment: Experiment, sample: ModelInput) -> None:
    network = network_of(experiment)
    graph = export_graph(network, sample)
    with torch.no_grad():
        network.heads[0].bias.add_(0.1)  # type: ignore[operator]
    with pytest.raises(ExportMismatch, match="differ by"):
        verify_graph(graph, network, sample)


def test_values_that_are_not_finite_are_not_exported(experiment: Experiment, sample: ModelInput) -> None:
    network = network_of(experiment)
    with torch.no_grad():
        network.heads[0].bias.fill_(float("nan"))  # type: ignore[operator]
    with pytest.raises(ExportMismatch, match="not finite"):
        export_graph(network, sample)
