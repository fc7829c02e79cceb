"""The draws of many requests are those of one after the other, and what cannot be decided at once is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from event_schemas.errors import SettingError
from event_schemas.experiment import load_experiment
from event_schemas.exploration import ExplorationDraws
from feature_contract import FeatureContract
from learner.examples import request_columns
from policy_store.records import ObjectiveWeights
from serving_agent.decide import ServingSnapshot
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.loaded_policy import LoadedPolicy
from simulator.homefeed_world import with_exploration_rate
from simulator.vector_agent import SLICES, VectorAgent, VectorRequests
from tests.request_frames import request_frame
from tests.simulator_samples import HOMEFEED

EXPERIMENT = with_exploration_rate(load_experiment(HOMEFEED), 0.6)
NOTHING = ServingSnapshot(ObjectiveWeights.in_force(EXPERIMENT))


class Preferring:
    """Values that are highest for one arm; those of a distribution if it is told to."""

    def __init__(self, answer: Any = None) -> None:
        self._answer = answer

    def score(self, feeds: Any, flag: Any = None) -> Any:
        values = np.zeros((len(feeds["preference"]), EXPERIMENT.action_space.arms, 2), dtype=np.float32)
        values[:, 3] = 1.0
        return values if self._answer is None else self._answer


NO_FEATURES = FeatureContract(0, 0, 0, (), 2)


def policy(network: Any, contract: FeatureContract = NO_FEATURES, **changes: Any) -> LoadedPolicy:
    return LoadedPolicy("v", 0, network, contract, **changes)


def requests(count: int, cohorts: list[str | None] | None = None) -> VectorRequests:
    ids = [f"r-{number}" for number in range(count)]
    bare = {"event_time": 0, "user_embedding": [], "context": [], "history": []}
    return VectorRequests(
        ids,
        [None] * count,
        cohorts or [None] * count,
        lambda rows: request_columns(request_frame([bare] * len(rows))),
    )


def test_slices_arms_and_probabilities_are_those_of_single_draws() -> None:
    draws = ExplorationDraws(EXPERIMENT.action_space, EXPERIMENT.exploration)
    decided = VectorAgent(EXPERIMENT, NOTHING).decide(requests(2_000))
    for row in range(2_000):
        single = draws.slice(f"r-{row}")
        expected = "FALLBACK" if single.slice.value == "POLICY" else single.slice.value
        assert SLICES[decided.slice[row]].value == expected
        assert decided.slice_probability[row] == single.slice_probability
        if expected == "EXPLORE":
            explored = draws.explore(f"r-{row}")
            assert (decided.arm[row], decided.propensity[row]) == (explored.arm, explored.propensity)
        else:
            assert (decided.arm[row], decided.propensity[row]) == (EXPERIMENT.action_space.production_arm, 1.0)
    assert np.unique(decided.arm).size == EXPERIMENT.action_space.arms


def test_production_alone_can_be_explored() -> None:
    spec = EXPERIMENT.experiment.model_copy(update={"production_share": 1.0})
    alone = VectorAgent(EXPERIMENT.model_copy(update={"experiment": spec}), NOTHING).decide(requests(200))
    assert set(alone.arm.tolist()) == {EXPERIMENT.action_space.production_arm} and (alone.propensity == 1).all()


def test_a_policy_serves_its_best_arm_and_none_is_a_fallback_with_its_reason() -> None:
    agent = VectorAgent(EXPERIMENT, replace(NOTHING, stable=policy(Preferring())))
    decided = agent.decide(requests(500))
    served = np.array([SLICES[each].value == "POLICY" for each in decided.slice])
    assert served.any() and set(decided.arm[served].tolist()) == {3}
    assert agent.versions == ("exploration", "production", "v", "production")
    assert agent.fallback_reason == FallbackReason.NO_PREFERENCE
    assert VectorAgent(EXPERIMENT, NOTHING).fallback_reason == FallbackReason.NO_POLICY


def test_a_cohort_without_a_preference_falls_back() -> None:
    preference = ObjectiveWeights(4, None, {"CORE": (0.9, 0.1)})
    agent = VectorAgent(EXPERIMENT, ServingSnapshot(preference, policy(Preferring())))
    decided = agent.decide(requests(400, ["CORE", "REST"] * 200))
    names = np.array([SLICES[each].value for each in decided.slice])
    assert "POLICY" in names[::2] and "FALLBACK" not in names[::2]
    assert "POLICY" not in names[1::2] and "FALLBACK" in names[1::2]


@pytest.mark.parametrize(
    "snapshot",
    [
        replace(NOTHING, killed=True),
        replace(NOTHING, withheld=FallbackReason.NO_POLICY),
        replace(NOTHING, shadow=policy(Preferring())),
        replace(NOTHING, stable=policy(Preferring(), pinned=(0.5, 0.5))),
    ],
)
def test_what_only_an_agent_can_decide_is_refused(snapshot: ServingSnapshot) -> None:
    with pytest.raises(SettingError, match="only for a grid of arms"):
        VectorAgent(EXPERIMENT, snapshot)


def test_a_capped_exploration_and_distributions_are_refused() -> None:
    spec = EXPERIMENT.experiment.model_copy(update={"exploration_cap": 5.0})
    with pytest.raises(SettingError, match="exploration cap"):
        VectorAgent(EXPERIMENT.model_copy(update={"experiment": spec}), NOTHING)
    agent = VectorAgent(EXPERIMENT, replace(NOTHING, stable=policy(Preferring("a distribution"))))
    with pytest.raises(SettingError, match="answers with a distribution"):
        agent.decide(requests(50))


def test_requests_that_lack_the_policy_s_features_are_named() -> None:
    embedded = policy(Preferring(), FeatureContract(4, 0, 0, (), 2))
    agent = VectorAgent(EXPERIMENT, replace(NOTHING, stable=embedded))
    with pytest.raises(SettingError, match="requests lack features that v needs"):
        agent.decide(requests(50))
