"""What a checkpoint moves against what serves, and the bounds beyond which people decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.preference_section import PreferenceSpec
from learner.checkpoints.serving_moves import ServingMoves, serving_checkpoint, serving_moves, why_people_decide
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.learning_rows import LearningRows
from learner.judgement.predictions import Score
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.channel_record import Channel
from policy_store.records.objective_weights import ObjectiveWeights
from tests.serving_samples import StoreDesk, preferring

ROWS = 300


@pytest.fixture
def desk(experiment: Experiment) -> StoreDesk:
    return StoreDesk(experiment, MemoryStore(experiment.name))


@pytest.fixture
def rows(world: Any) -> LearningRows:
    made: LearningRows = world.rows(world.examples(ROWS))
    return made


def always(experiment: Experiment, *arms: int) -> Score:
    """Values by which the arms are best, one after the other."""

    def score(positions: NDArray[np.int64]) -> NDArray[np.float64]:
        q = np.full((len(positions), experiment.action_space.arms, len(experiment.objective_names)), 0.1)
        q[np.arange(len(positions)), np.asarray(arms)[positions % len(arms)]] = 0.9
        return q

    return score


def moves(desk: StoreDesk, rows: LearningRows, score: Score) -> ServingMoves:
    weights = ObjectiveWeights.in_force(desk.experiment)
    return serving_moves(rows, (score, weights), (desk.store, desk.rule), desk.experiment)


def test_against_production_while_stable_is_empty(desk: StoreDesk, rows: LearningRows) -> None:
    space = desk.experiment.action_space
    found = moves(desk, rows, always(desk.experiment, space.production_arm))
    assert (found.serving, found.changed_arms) == ("production", 0.0)
    assert found.mean_weights == dict.fromkeys(space.weight_names, 0.0)
    found = moves(desk, rows, always(desk.experiment, 0, space.production_arm))
    assert found.changed_arms == 0.5
    for name, low, production in zip(space.weight_names, space.weights[0], space.weights[-1], strict=True):
        span = {"repin": 190.0, "p2p": 29.0}[name]
        assert found.mean_weights[name] == pytest.approx(abs(low - production) / 2 / span)


def test_against_the_checkpoint_that_serves(desk: StoreDesk, rows: LearningRows) -> None:
    """Its graph is asked with the same requests and the same preference."""
    desk.publish("v1", preferring(desk.experiment, repin=3, p2p=5), evaluation={"verdict": "pass"})
    desk.point(Channel.STABLE, "v1")
    weights = ObjectiveWeights.in_force(desk.experiment)
    served = serving_checkpoint(desk.store, desk.rule)
    assert served is not None and served.version == "v1"
    of_default = 3 if (weights.default or (1.0, 0.0))[0] > 0.5 else 5
    found = moves(desk, rows, always(desk.experiment, of_default))
    assert (found.serving, found.changed_arms) == ("v1", 0.0)
    assert moves(desk, rows, always(desk.experiment, 1)).changed_arms == 1.0


def test_what_has_other_features_or_no_single_choice_cannot_be_compared(desk: StoreDesk, rows: LearningRows) -> None:
    for version, change in (("v1", {"feature_contract": "other"}), ("v2", {"answer": "probabilities"})):
        desk.publish(version, preferring(desk.experiment, repin=3), **change)
        desk.now += 1
        desk.point(Channel.STABLE, version)
        with pytest.raises(CheckpointBroken):
            moves(desk, rows, always(desk.experiment, 1))


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({}, None),
        ({"max_changed_arms": 0.4}, None),
        ({"max_changed_arms": 0.399}, "against v1, 40.0% of the arms change (max_changed_arms 39.9%)"),
        ({"max_mean_weight_move": 0.3}, None),
        (
            {"max_mean_weight_move": 0.2, "max_changed_arms": 0.1},
            "against v1, the mean of b moves by 30.0% of its range (max_mean_weight_move 20.0%) and 40.0% of the arms"
            " change (max_changed_arms 10.0%)",
        ),
    ],
)
def test_what_exceeds_a_bound_is_told(bounds: dict[str, Any], told: str | None) -> None:
    assert ServingMoves("v1", {"a": 0.1, "b": 0.3}, 0.4).beyond(PreferenceSpec(**bounds)) == told


def test_nothing_known_is_not_within_bounds() -> None:
    unknown = ServingMoves("v1", {"a": math.nan}, math.nan)
    assert unknown.beyond(PreferenceSpec()) is None
    assert unknown.beyond(PreferenceSpec(max_changed_arms=0.99)) is not None
    assert unknown.beyond(PreferenceSpec(max_mean_weight_move=0.99)) is not None


def test_people_decide_beyond_the_bounds_or_if_nothing_can_be_told(
    make_experiment: Callable[..., Experiment], desk: StoreDesk, rows: LearningRows
) -> None:
    bounded = make_experiment(preference={"alpha_objective": "p2p", "alpha": 0.5, "max_changed_arms": 0.2})
    asked = always(bounded, 1), ObjectiveWeights.in_force(bounded)
    why = why_people_decide(rows, asked, (desk.store, desk.rule), bounded)
    assert why == "against production, 100.0% of the arms change (max_changed_arms 20.0%)"
    same = always(bounded, bounded.action_space.production_arm), asked[1]
    assert why_people_decide(rows, same, (desk.store, desk.rule), bounded) is None
    desk.publish("v1", preferring(desk.experiment, repin=3), feature_contract="other")
    desk.point(Channel.STABLE, "v1")
    why = why_people_decide(rows, asked, (desk.store, desk.rule), bounded)
    assert why is not None and why.startswith("what it changes cannot be told: checkpoint v1 was trained on other")

    def never(_: NDArray[np.int64]) -> NDArray[np.float64]:
        raise AssertionError("nothing is computed without bounds")

    free = desk.experiment
    assert why_people_decide(rows, (never, asked[1]), (desk.store, desk.rule), free) is None
