"""The steps of Loshchilov and Hutter (2019), without loading torch's compiler."""

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from learner.network.adam_optimiser import BETAS, EPSILON, AdamOptimiser

ROOT = Path(__file__).parents[2]


def network() -> nn.Linear:
    torch.manual_seed(2)
    return nn.Linear(3, 2)


def backward(of: nn.Module, step: int) -> None:
    torch.manual_seed(step)
    of(torch.randn(5, 3)).square().sum().backward()


def test_steps_are_those_that_were_published() -> None:
    """Algorithm 2 in double precision: decay, then the step along the corrected moments."""
    rate, decay, model = 0.01, 0.1, network()
    adam = AdamOptimiser.of(model, rate, decay)
    weight = model.weight.detach().double()
    mean, square = torch.zeros_like(weight), torch.zeros_like(weight)
    for step in range(1, 6):
        adam.clear()
        backward(model, step)
        assert model.weight.grad is not None
        gradient = model.weight.grad.double()
        mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
        square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
        corrected = mean / (1 - BETAS[0] ** step), square / (1 - BETAS[1] ** step)
        weight = weight * (1 - rate * decay) - rate * corrected[0] / (corrected[1].sqrt() + EPSILON)
        adam.step()
    torch.testing.assert_close(model.weight.detach().double(), weight, atol=1e-6, rtol=1e-5)


def test_a_share_of_the_rate_is_a_smaller_rate() -> None:
    found = []
    for rate, share in ((0.01, 0.25), (0.0025, 1.0)):
        model = network()
        adam = AdamOptimiser.of(model, rate, 0.1)
        backward(model, 0)
        adam.step(share)
        found.append(model.weight.detach())
    torch.testing.assert_close(found[0], found[1])


STARTING = """
import sys
from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.registry import Registry
from feature_contract import FeatureContract
from learner.network.q_learning import QLearning
from tests.learner_samples import World, experiment_document
experiment = Experiment.model_validate(experiment_document())
world = World(experiment, Codec(Registry.bundled()))
rows = world.rows(world.examples(80))
learner = QLearning(experiment, FeatureContract.from_experiment(experiment))
learner.fit(rows)
assert learner.export(rows.inputs)
sys.exit("torch._dynamo" in sys.modules)
"""


def test_a_learner_trains_and_exports_without_the_compiler() -> None:
    done = subprocess.run([sys.executable, "-c", STARTING], cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
