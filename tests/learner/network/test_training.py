"""The loop: learns, repeats itself exactly, and leaves honest batch-norm statistics."""

from typing import Any

import numpy as np
import pytest
import torch

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.network.adam_optimiser import AdamOptimiser
from learner.network.q_network import NetworkShape, QNetwork, arm_inputs
from learner.network.training import TrainingTensors, batches_of, recompute_batch_norm, step_share, train
from learner.network.training_progress import TrainingProgress, TrainingReport


def fit(experiment: Experiment, rows: Any) -> tuple[QNetwork, TrainingReport, list[TrainingProgress]]:
    torch.manual_seed(1)
    contract = FeatureContract.from_experiment(experiment)
    network = QNetwork(NetworkShape.of(experiment, contract), arm_inputs(experiment.action_space))
    optimiser = AdamOptimiser.of(network, experiment.learner.learning_rate, 0.0)
    seen: list[TrainingProgress] = []
    return network, train(network, optimiser, rows, experiment.learner, seen.append), seen


def test_the_loss_falls_and_progress_is_reported(experiment: Experiment, world: Any) -> None:
    network, report, seen = fit(experiment, world.rows(world.examples(800)))
    assert report.losses[-1] < report.losses[0]
    assert [at.epoch for at in seen] == [1, 2, 3, 4]
    assert report.steps == 4 * 7
    assert not network.training


def test_the_same_seed_and_rows_give_the_same_weights(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(300))
    first, second = (fit(experiment, rows)[0].state_dict() for _ in range(2))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_batch_norm_statistics_are_those_of_the_final_weights(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(256))
    network = fit(experiment, rows)[0]
    norm = network.backbone[0][0]  # type: ignore[index]
    data = TrainingTensors.of(rows)
    with torch.no_grad():
        states = network.state(data.inputs)
    # Two batches of 128 make up the rows; the state's own norms differ by batch, hence the tolerance.
    np.testing.assert_allclose(norm.running_mean.numpy(), states.mean(0).numpy(), atol=0.02)
    before = norm.running_mean.clone()
    recompute_batch_norm(network, data, 128)
    torch.testing.assert_close(norm.running_mean, before)


def test_the_statistics_of_many_rows_are_those_of_some_drawn_from_all(
    experiment: Experiment, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = world.rows(world.examples(300))
    network = fit(experiment, rows)[0]
    norm, drawn = network.backbone[0][0], torch.randperm(300, generator=torch.Generator().manual_seed(0))[:100]  # type: ignore[index]
    recompute_batch_norm(network, TrainingTensors.of(rows.take(drawn.numpy())), 100)
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()
    monkeypatch.setattr("learner.network.training.NORM_ROWS", 100)
    recompute_batch_norm(network, TrainingTensors.of(rows), 100)
    torch.testing.assert_close(norm.running_mean, mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var, variance, atol=1e-5, rtol=1e-4)


def test_a_few_rows_over_do_not_distort_the_statistics(experiment: Experiment, world: Any) -> None:
    rows = world.rows(world.examples(130))
    network = fit(experiment, rows)[0]
    data = TrainingTensors.of(rows)
    recompute_batch_norm(network, data, 130)
    norm = network.backbone[0][0]  # type: ignore[index]
    mean, variance = norm.running_mean.clone(), norm.running_var.clone()
    recompute_batch_norm(network, data, 128)
    torch.testing.assert_close(norm.running_mean, mean, atol=0.02, rtol=0.0)
    torch.testing.assert_close(norm.running_var, variance, atol=0.02, rtol=0.1)


def test_batches_cover_the_rows_evenly_and_none_is_too_small() -> None:
    assert [len(batch) for batch in batches_of(torch.arange(9), 4)] == [3, 3, 3]
    assert [len(batch) for batch in batches_of(torch.arange(10), 4)] == [4, 3, 3]
    assert [len(batch) for batch in batches_of(torch.arange(3), 2)] == [2]


def test_the_step_size_falls_along_half_a_cosine() -> None:
    np.testing.assert_allclose([step_share(at) for at in (0.0, 1 / 3, 0.5, 2 / 3, 1.0)], [1, 0.75, 0.5, 0.25, 0])
