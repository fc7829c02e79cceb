"""What a checkpoint moves against what serves, and the bounds beyond which people decide."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.preference_section import PreferenceSpec
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.serving_answers import serving_policy
from learner.checkpoints.serving_checkpoint import find_serving
from learner.checkpoints.serving_moves import ServingMoves, serving_moves, why_people_decide
from learner.examples.learning_rows import LearningRows
from learner.judgement.predictions import Score
from learner.judgement.serving_comparison import ServingPolicy
from off_policy.target_policies import TargetPolicy, constant_policy
from policy_store.backends.memory_store import MemoryStore
from policy_store.records.channel_record import Channel
from policy_store.records.objective_weights import ObjectiveWeights
from policy_store.records.store_errors import SignatureInvalid, StoreUnreachable
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


def asked(desk: StoreDesk, rows: LearningRows) -> ServingPolicy:
    """What serves the rows, under the file's preference."""
    experiment = desk.experiment
    found = find_serving(desk.store, desk.rule, CheckpointShelf(Path("nothing")))
    contract = FeatureContract.from_experiment(experiment)
    return serving_policy(found, rows, experiment, contract, ObjectiveWeights.in_force(experiment))


def moves(desk: StoreDesk, rows: LearningRows, *arms: int) -> ServingMoves:
    """From what serves to a policy that plays the arms one after the other."""
    chosen = TargetPolicy("new", arms=np.asarray(arms)[np.arange(rows.count) % len(arms)])
    found = serving_moves(chosen, asked(desk, rows), desk.experiment)
    assert found is not None
    return found


def test_against_production_while_stable_is_empty(desk: StoreDesk, rows: LearningRows) -> None:
    space = desk.experiment.action_space
    found = moves(desk, rows, space.production_arm)
    assert (found.serving, found.changed_arms) == ("production", 0.0)
    assert found.mean_weights == dict.fromkeys(space.weight_names, 0.0)
    found = moves(desk, rows, 0, space.production_arm)
    assert found.changed_arms == 0.5
    for name, low, production in zip(space.weight_names, space.weights[0], space.weights[-1], strict=True):
        span = {"repin": 190.0, "p2p": 29.0}[name]
        assert found.mean_weights[name] == pytest.approx(abs(low - production) / 2 / span)


def test_against_the_checkpoint_that_serves(desk: StoreDesk, rows: LearningRows) -> None:
    """Its graph is asked with the same requests, the same preference, and the encoding that it was trained with."""
    first = FeatureContract.from_experiment(desk.experiment, encoding=1)
    desk.publish("v1", preferring(desk.experiment, repin=3, p2p=5), feature_contract=first.digest)
    desk.point(Channel.STABLE, "v1")
    weights = ObjectiveWeights.in_force(desk.experiment)
    of_default = 3 if (weights.default or (1.0, 0.0))[0] > 0.5 else 5
    found = moves(desk, rows, of_default)
    assert (found.serving, found.changed_arms) == ("v1", 0.0)
    assert moves(desk, rows, 1).changed_arms == 1.0
    assert moves(desk, rows, of_default, of_default, 1).changed_arms == pytest.approx(1 / 3)


def test_pinned_to_another_preference_it_gives_way_to_production(desk: StoreDesk, rows: LearningRows) -> None:
    production = desk.experiment.action_space.production_arm
    for version, pinned, arm in (("v1", 1.0, production), ("v2", 0.3, 3)):  # the file's α is 0.3
        change = {"preference": {"repin": 1.0 - pinned, "p2p": pinned}}
        desk.publish(version, preferring(desk.experiment, repin=3), **change)
        desk.now += 1
        desk.point(Channel.STABLE, version)
        assert (moves(desk, rows, arm).serving, moves(desk, rows, arm).changed_arms) == (version, 0.0)


def test_against_drawn_arms_the_moves_are_the_expected_ones(experiment: Experiment) -> None:
    space = experiment.action_space
    drawn = np.zeros((4, space.arms))
    drawn[:, 0], drawn[:, space.production_arm] = 0.25, 0.75
    served = ServingPolicy("v1", TargetPolicy("v1", probabilities=drawn), "it is serving")
    found = serving_moves(constant_policy("new", 0, 4), served, experiment)
    assert found is not None
    assert found.changed_arms == 0.75
    whole = serving_moves(
        constant_policy("new", 0, 4), ServingPolicy(None, None, "", production_serves=True), experiment
    )
    assert whole is not None
    for name, move in whole.mean_weights.items():
        assert found.mean_weights[name] == pytest.approx(0.75 * move)


def test_what_serves_is_unknown(desk: StoreDesk, rows: LearningRows) -> None:
    desk.publish("v1", preferring(desk.experiment, repin=3), feature_contract="other")
    desk.point(Channel.STABLE, "v1")
    chosen = constant_policy("new", 1, rows.count)
    assert serving_moves(chosen, asked(desk, rows), desk.experiment) is None


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
    weights, serving = ObjectiveWeights.in_force(bounded), partial(asked, desk)
    why = why_people_decide(rows, (always(bounded, 1), weights), serving, bounded)
    assert why == "against production, 100.0% of the arms change (max_changed_arms 20.0%)"
    same = always(bounded, bounded.action_space.production_arm)
    assert why_people_decide(rows, (same, weights), serving, bounded) is None
    desk.publish("v1", preferring(desk.experiment, repin=3), feature_contract="other")
    desk.point(Channel.STABLE, "v1")
    why = why_people_decide(rows, (always(bounded, 1), weights), serving, bounded)
    assert why is not None and why.startswith("what it changes cannot be told: v1 is serving and cannot be scored")

    def never(_: Any) -> Any:
        raise AssertionError("nothing is computed without bounds")

    assert why_people_decide(rows, (never, weights), never, desk.experiment) is None


def test_a_store_that_is_away_decides_nothing(make_experiment: Callable[..., Experiment], rows: LearningRows) -> None:
    bounded = make_experiment(preference={"alpha_objective": "p2p", "alpha": 0.5, "max_changed_arms": 0.2})
    for fault, raised in ((StoreUnreachable, True), (SignatureInvalid, False)):

        def away(_: LearningRows, fault: type[TrimtabError] = fault) -> ServingPolicy:
            raise fault("the store is away", fix="start it")

        asked_for = always(bounded, 1), ObjectiveWeights.in_force(bounded)
        if raised:
            with pytest.raises(StoreUnreachable):
                why_people_decide(rows, asked_for, away, bounded)
        else:
            why = why_people_decide(rows, asked_for, away, bounded)
            assert why == "what it changes cannot be told: the store is away"
