"""One request through one or two policies inside one budget."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from feature_contract import FeatureContract
from policy_store.records.objective_weights import ObjectiveWeights
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_answers import PolicyChoice
from serving_agent.decide.policy_choice import PolicyChooser
from serving_agent.decide.policy_networks import ProbabilityNetwork, ValueNetwork
from simulator.reference_policies import SoftmaxPolicy
from tests.answer_graphs import preferring_graph
from tests.serving_samples import DIM, NOW, embedded, linear_graph, loaded, preferring, sampling, serving_experiment

EXPERIMENT = serving_experiment()
PREFERENCE = ObjectiveWeights.in_force(EXPERIMENT)
RECORD = DecisionRequest(user_embedding=embedded(0.0)).as_record("r", NOW)


class Timer:
    """A clock that the test advances."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def chooser(timer: Timer) -> Iterator[PolicyChooser]:
    made = PolicyChooser(EXPERIMENT, timer=timer)
    yield made
    made.close()


def test_two_policies_share_one_budget(chooser: PolicyChooser, timer: Timer) -> None:
    first = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2), "v1")
    second = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=4), "v2")
    scoring = chooser.begin(RECORD, ())
    assert scoring.choose(first, PREFERENCE) == PolicyChoice(2)
    assert scoring.choose(second, PREFERENCE) == PolicyChoice(4)
    timer.now += EXPERIMENT.serving.budget_ms / 1000
    assert scoring.choose(second, PREFERENCE) == PolicyChoice(None, FallbackReason.TIME_OUT)


def test_what_a_request_has_waited_is_part_of_its_budget(chooser: PolicyChooser) -> None:
    policy, budget = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2)), EXPERIMENT.serving.budget_ms / 1000
    assert chooser.begin(RECORD, (), budget / 4).choose(policy, PREFERENCE) == PolicyChoice(2)
    waited_too_long = chooser.begin(RECORD, (), budget).choose(policy, PREFERENCE)
    assert waited_too_long == PolicyChoice(None, FallbackReason.TIME_OUT)


def test_no_policy_and_no_features(chooser: PolicyChooser) -> None:
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2))
    assert chooser.begin(RECORD, ()).choose(None, PREFERENCE).reason is FallbackReason.NO_POLICY
    bare = DecisionRequest().as_record("r", NOW)
    assert chooser.begin(bare, ()).choose(policy, PREFERENCE).reason is FallbackReason.MISSING_FEATURES


def first_component(arms: int) -> bytes:
    """Arm 3 is best while the embedding's first component stays below 15, else arm 5."""
    bias, slope = np.zeros((arms, 2), np.float32), np.zeros((DIM, arms * 2), np.float32)
    bias[3] = 0.2
    bias[5] = 0.2 - 1.5
    slope[0, 10:12] = 0.1
    return linear_graph(bias, slope)


def test_each_policy_reads_the_request_as_it_was_trained_to(chooser: PolicyChooser) -> None:
    """20 stays 20 in the first encoding, and is about 16.9 in the second; 1e4 is 79.1 there, far from overflow."""
    graph = first_component(EXPERIMENT.action_space.arms)
    old, new = (loaded(EXPERIMENT, graph, f"v{encoding}", encoding) for encoding in (1, 2))
    for value, old_arm, new_arm in ((14.0, 3, 3), (16.0, 5, 3), (40.0, 5, 5)):
        record = DecisionRequest(user_embedding=[value] + [0.0] * (DIM - 1)).as_record("r", NOW)
        scoring = chooser.begin(record, ())
        assert scoring.choose(old, PREFERENCE).arm == old_arm
        assert scoring.choose(new, PREFERENCE).arm == new_arm
        assert scoring.choose(old, PREFERENCE).arm == old_arm


def test_an_absurd_feature_falls_back_in_the_encoding_that_refuses_it(chooser: PolicyChooser) -> None:
    graph = preferring(EXPERIMENT, repin=2)
    record = DecisionRequest(user_embedding=[1e30] * DIM).as_record("r", NOW)
    scoring = chooser.begin(record, ())
    assert scoring.choose(loaded(EXPERIMENT, graph, encoding=1), PREFERENCE) == PolicyChoice(2)
    absurd = PolicyChoice(None, FallbackReason.MISSING_FEATURES)
    assert scoring.choose(loaded(EXPERIMENT, graph, encoding=2), PREFERENCE) == absurd


def test_no_preference(chooser: PolicyChooser) -> None:
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2))
    chosen = chooser.begin(RECORD, ()).choose(policy, ObjectiveWeights(0, None))
    assert chosen == PolicyChoice(None, FallbackReason.NO_PREFERENCE)


def test_a_policy_for_one_preference_serves_under_no_other(chooser: PolicyChooser) -> None:
    network = SoftmaxPolicy(EXPERIMENT.action_space.arms, 2, temperature=1e-4)
    pinned = replace(sampling(EXPERIMENT, network), pinned=(0.25, 0.75), samples=False)
    weighed = ObjectiveWeights(1, (0.25, 0.75), {"new": (0.5, 0.5)})
    assert chooser.begin(RECORD, ()).choose(pinned, weighed) == PolicyChoice(2)
    other = PolicyChoice(None, FallbackReason.PREFERENCE)
    assert chooser.begin({**RECORD, "cohort": "new"}, ()).choose(pinned, weighed) == other
    assert chooser.begin(RECORD, ()).choose(pinned, ObjectiveWeights(2, (0.26, 0.74))) == other
    assert chooser.begin(RECORD, ()).choose(pinned, ObjectiveWeights(3, (0.25 + 1e-8, 0.75 - 1e-8))) == PolicyChoice(2)


def test_a_graph_may_take_the_preference(chooser: PolicyChooser) -> None:
    arms = EXPERIMENT.action_space.arms
    network = ProbabilityNetwork(preferring_graph(2, arms), arms=arms)
    policy = replace(sampling(EXPERIMENT, network), samples=False)
    weighed = ObjectiveWeights(1, (0.9, 0.1), {"new": (0.2, 0.8)})
    assert chooser.begin(RECORD, ()).choose(policy, weighed) == PolicyChoice(0)
    assert chooser.begin({**RECORD, "cohort": "new"}, ()).choose(policy, weighed) == PolicyChoice(1)


def test_the_best_of_the_eligible(chooser: PolicyChooser) -> None:
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2, p2p=5))
    assert chooser.begin(RECORD, (1, 5, 7)).choose(policy, PREFERENCE) == PolicyChoice(5)


class Exploding(ValueNetwork):
    """A network that raises an undeclared type of error."""

    def score(self, feeds: Any, flag: Any = None) -> Any:
        raise ZeroDivisionError("not a fault anybody declared")


def test_whatever_a_policy_raises_is_an_inference_error(chooser: PolicyChooser) -> None:
    network = Exploding(preferring(EXPERIMENT, repin=2), arms=EXPERIMENT.action_space.arms, objectives=2)
    choice = chooser.begin(RECORD, ()).choose(
        LoadedPolicy("v1", NOW, network, FeatureContract.from_experiment(EXPERIMENT)), PREFERENCE
    )
    assert choice == PolicyChoice(None, FallbackReason.INFERENCE_ERROR)
