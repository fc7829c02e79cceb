"""One request through one or two policies inside one budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from serving_agent.decision_request import DecisionRequest
from serving_agent.fallback_reason import FallbackReason
from serving_agent.objective_preference import ObjectivePreference
from serving_agent.policy_choice import PolicyChoice, PolicyChooser
from serving_agent.scoring import PolicyNetwork
from serving_agent.snapshot import LoadedPolicy
from tests.serving_samples import NOW, embedded, loaded, preferring, serving_experiment

EXPERIMENT = serving_experiment()
PREFERENCE = ObjectivePreference.of_experiment(EXPERIMENT)
RECORD = DecisionRequest(user_embedding=embedded(0.0)).as_record("r", NOW)


class Timer:
    """A clock that a test moves."""

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


def test_no_policy_and_no_features(chooser: PolicyChooser) -> None:
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2))
    assert chooser.begin(RECORD, ()).choose(None, PREFERENCE).reason is FallbackReason.NO_POLICY
    bare = DecisionRequest().as_record("r", NOW)
    assert chooser.begin(bare, ()).choose(policy, PREFERENCE).reason is FallbackReason.MISSING_FEATURES


def test_no_preference(chooser: PolicyChooser) -> None:
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2))
    chosen = chooser.begin(RECORD, ()).choose(policy, ObjectivePreference(0, None))
    assert chosen == PolicyChoice(None, FallbackReason.NO_PREFERENCE)


def test_the_best_of_the_eligible(chooser: PolicyChooser) -> None:
    policy = loaded(EXPERIMENT, preferring(EXPERIMENT, repin=2, p2p=5))
    assert chooser.begin(RECORD, (1, 5, 7)).choose(policy, PREFERENCE) == PolicyChoice(5)


class Exploding(PolicyNetwork):
    """A network whose fault is of a kind nobody declared."""

    def score(self, feeds: Any, flag: Any = None) -> Any:
        raise ZeroDivisionError("not a fault anybody declared")


def test_whatever_a_policy_raises_is_an_inference_error(chooser: PolicyChooser) -> None:
    network = Exploding(preferring(EXPERIMENT, repin=2), arms=EXPERIMENT.action_space.arms, objectives=2)
    choice = chooser.begin(RECORD, ()).choose(LoadedPolicy("v1", NOW, network), PREFERENCE)
    assert choice == PolicyChoice(None, FallbackReason.INFERENCE_ERROR)
