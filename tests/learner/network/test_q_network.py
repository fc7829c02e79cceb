"""The PRL-PUTS network's shapes, masks and limits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from event_schemas.action_space import catalogue_action_space
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learner_errors import NothingToLearn
from learner.network.q_network import NetworkShape, QNetwork, arm_inputs, masked_squared_error
from learner.network.training import input_tensors


def network_of(experiment: Experiment) -> QNetwork:
    torch.manual_seed(0)
    shape = NetworkShape.of(experiment, FeatureContract.from_experiment(experiment))
    return QNetwork(shape, arm_inputs(experiment.action_space))


def test_all_arms_are_scored_in_the_unit_interval(experiment: Experiment, world: Any) -> None:
    network = network_of(experiment).eval()
    q = network(input_tensors(world.rows(world.examples(6)).inputs))
    assert q.shape == (6, 10, 2)
    assert bool(((q > 0) & (q < 1)).all())


def test_scoring_all_arms_agrees_with_scoring_the_logged_one(experiment: Experiment, world: Any) -> None:
    network = network_of(experiment).eval()
    rows = world.rows(world.examples(8))
    inputs, arms = input_tensors(rows.inputs), torch.from_numpy(rows.arms)
    torch.testing.assert_close(network(inputs)[torch.arange(8), arms], network.logged(inputs, arms))


def test_the_backbone_is_three_blocks_of_norm_linear_relu(experiment: Experiment) -> None:
    network = network_of(experiment)
    kinds = [[type(layer).__name__ for layer in block] for block in network.backbone]  # type: ignore[attr-defined]
    assert kinds == [["ColumnNorm", "Linear", "ReLU"]] * 3
    assert len(network.heads) == 2


def test_log_odds_are_a_rate_of_the_state_and_its_taste_for_each_arm(experiment: Experiment, world: Any) -> None:
    network = network_of(experiment).eval()
    inputs = input_tensors(world.rows(world.examples(6)).inputs)
    hidden, arms = network.backbone(network.state(inputs)), network.action(network.arm_features)
    taste = network.tastes[1](hidden) / arms.shape[1] ** 0.5
    expected = network.heads[1](hidden) + taste @ arms.T
    torch.testing.assert_close(torch.logit(network(inputs)[:, :, 1]), expected, atol=1e-4, rtol=1e-4)


def test_every_feature_moves_the_values(experiment: Experiment, world: Any) -> None:
    network = network_of(experiment).eval()
    inputs = input_tensors(world.rows(world.examples(3)).inputs)
    before = network(inputs)[2]
    for name, tensor in inputs.items():
        changed = dict(inputs)
        changed[name] = torch.zeros_like(tensor) if name == "history_mask" else tensor + 1
        assert not torch.equal(network(changed)[2], before), name


def test_the_weights_served_before_move_the_values(make_experiment: Callable[..., Experiment], make_world: Any) -> None:
    experiment = make_experiment(features={"previous_length": 2})
    world = make_world(experiment)
    network = network_of(experiment).eval()
    inputs = input_tensors(world.rows(world.examples(3)).inputs)
    assert set(inputs) == {"previous_weights", "previous_ages", "previous_mask"}
    for name, tensor in inputs.items():
        assert not torch.equal(network(inputs | {name: tensor + 1})[2], network(inputs)[2]), name


@pytest.mark.parametrize(
    "features",
    [
        {"user_embedding_dim": 4},
        {"context": [{"name": "surface"}]},
        {"context": [{"name": "hour", "kind": "number"}]},
        {"history_length": 2},
        {"history_length": 2, "item_embedding_dim": 2},
        {"previous_length": 2},
    ],
)
def test_any_group_of_features_may_stand_alone(
    make_experiment: Callable[..., Experiment], make_world: Any, features: dict[str, Any]
) -> None:
    experiment = make_experiment(features=features)
    world = make_world(experiment)
    assert network_of(experiment).eval()(input_tensors(world.rows(world.examples(2)).inputs)).shape == (2, 10, 2)


def test_impossible_sizes_are_refused(make_experiment: Callable[..., Experiment]) -> None:
    with pytest.raises(NothingToLearn, match="no features"):
        network_of(make_experiment(features={}))
    with pytest.raises(NothingToLearn, match="attention_heads"):
        network_of(make_experiment(learner={"state_dim": 9, "attention_heads": 2}))


def test_masked_rows_carry_no_loss_and_no_gradient() -> None:
    values = torch.tensor([[0.5, 0.5], [0.9, 0.5]], requires_grad=True)
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    observed = torch.tensor([[1.0, 1.0], [0.0, 1.0]])
    loss = masked_squared_error(values, rewards, observed)
    assert loss.item() == pytest.approx(0.25 + (0.25 + 0.25) / 2)
    loss.backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert values.grad[1, 0] == 0.0


def test_an_objective_never_observed_adds_nothing() -> None:
    values = torch.full((4, 2), 0.5)
    observed = torch.tensor([[1.0, 0.0]] * 4)
    assert masked_squared_error(values, torch.ones(4, 2), observed).item() == pytest.approx(0.25)


def test_an_untrained_network_starts_near_the_given_rates(experiment: Experiment, world: Any) -> None:
    network = network_of(experiment)
    network.start_from_rates(np.array([0.004, 0.0]))
    q = network.eval()(input_tensors(world.rows(world.examples(50)).inputs)).mean((0, 1))
    assert 0.002 < q[0].item() < 0.01
    assert q[1].item() < 0.001


def test_arm_inputs() -> None:
    space = catalogue_action_space("a", ["size"], {"a": [10.0], "b": [30.0]})
    np.testing.assert_allclose(arm_inputs(space), [[-1.0], [1.0]])
    constant = catalogue_action_space("a", ["size"], {"a": [3.0], "b": [3.0]})
    np.testing.assert_array_equal(arm_inputs(constant), [[0.0], [0.0]])
    large = catalogue_action_space("a", ["x"], {"a": [1e30], "b": [3e30]})
    np.testing.assert_allclose(arm_inputs(large), [[-1.0], [1.0]], rtol=1e-6)
    bare = catalogue_action_space("a", [], {"a": [], "b": []})
    np.testing.assert_array_equal(arm_inputs(bare), np.eye(2))
