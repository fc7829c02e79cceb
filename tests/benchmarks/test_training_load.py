"""What the training's benchmark measures is a run's own window and the same training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.training_load import bare_loop, experiment_of, stored_frame, window_figures, write
from feature_contract import FeatureContract
from learner.examples.learning_rows import COLUMNS, LearningRows
from learner.network.adam_optimiser import AdamOptimiser
from learner.network.q_network import NetworkShape, QNetwork, arm_inputs
from learner.network.training import train


def test_the_bare_loop_trains_to_the_same_parameters() -> None:
    experiment = experiment_of(600, epochs=1)
    contract = FeatureContract.from_experiment(experiment)
    frame = stored_frame(experiment, 0, 600)
    assert set(frame.columns) == set(COLUMNS)
    rows, networks = LearningRows.of(frame, experiment, contract), []
    for _ in range(2):
        torch.manual_seed(7)
        networks.append(QNetwork(NetworkShape.of(experiment, contract), arm_inputs(experiment.action_space)))
    spec = experiment.learner
    train(networks[0], AdamOptimiser.of(networks[0], spec.learning_rate, spec.weight_decay), rows, spec)
    bare_loop(networks[1], rows, experiment)
    for (name, ours), (_, bare) in zip(*(each.named_parameters() for each in networks), strict=True):
        np.testing.assert_allclose(ours.detach(), bare.detach(), atol=1e-6, err_msg=name)


def test_a_window_is_measured_with_its_tensors(tmp_path: Path) -> None:
    write(tmp_path / "warm", 2_000)
    write(tmp_path / "rows", 3_000)
    found = window_figures(tmp_path / "rows", tmp_path / "warm", 3_000)
    assert found["rows"] == 3_000
    assert 0.5 < found["tensors_mb"] < 2.0
    assert found["peak_mb"] > found["tensors_mb"]
