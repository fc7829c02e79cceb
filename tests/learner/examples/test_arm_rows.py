"""Which stored examples count in an online experiment, and with what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from event_schemas.codec import Codec
from learner.examples.arm_rows import ARM_NUMBER, USER_NUMBER, WEIGHT, ArmRows, count_column, observed_column
from tests.learner.arm_samples import START, counted_world, decision
from tests.learner_samples import World


@pytest.fixture
def counted(codec: Codec) -> World:
    return counted_world(codec)


def arm_rows(world: World, span: tuple[int, int] = (START, START + 100)) -> ArmRows:
    return ArmRows("exp", ["control", "a"], span, world.experiment.counted)


def test_policy_and_fallback_of_the_experiment_count_with_arm_user_and_weight(counted: World) -> None:
    rows = arm_rows(counted)
    found = rows.of(
        counted.decoded(
            [
                decision(counted, 0, arm="exp/a", user="ann", rate=0.1, p2p=9),
                decision(counted, 1, arm="exp/control", user="bob", slice="FALLBACK"),
                decision(counted, 2, arm="exp/a", user="ann"),
            ]
        )
    )
    assert found[ARM_NUMBER].to_list() == [1, 0, 1]
    assert found[USER_NUMBER].to_list() == [0, 1, 0]
    assert found[WEIGHT].to_list() == [10.0, 1.0, 1.0]
    assert found[count_column("p2p")].to_list() == [9.0, 0.0, 0.0], "clipping comes after adding up a unit"
    assert not +rows.left_out
    assert rows.users == 2


@pytest.mark.parametrize("arm", [None, "canary", "control", "exp", "other/a", "exp2/a", "EXP/a"])
def test_decisions_outside_the_experiment_are_not_even_left_out(counted: World, arm: str | None) -> None:
    rows = arm_rows(counted)
    assert rows.of(counted.decoded([decision(counted, 0, arm=arm)])).height == 0
    assert not +rows.left_out
    assert rows.users == 0


@pytest.mark.parametrize("at", [START - 1, START + 100])
def test_requests_outside_the_span_are_not_even_left_out(counted: World, at: int) -> None:
    rows = arm_rows(counted)
    assert rows.of(counted.decoded([decision(counted, 0, at=at)])).height == 0
    assert not +rows.left_out


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("explored_or_control", {"slice": "EXPLORE"}),
        ("explored_or_control", {"slice": "CONTROL"}),
        ("undeclared_arm", {"arm": "exp/b"}),
        ("undeclared_arm", {"arm": "exp/a/a"}),
        ("no_sampling_rate", {"rate": 0.0}),
        ("no_sampling_rate", {"rate": -0.5}),
        ("no_sampling_rate", {"rate": 1.5}),
        ("no_sampling_rate", {"rate": float("nan")}),
        ("no_user", {"user": None}),
        ("no_user", {"user": " "}),
        ("no_user", {"user": "Undefined "}),
    ],
)
def test_what_does_not_count_is_counted_by_reason(counted: World, reason: str, said: dict[str, Any]) -> None:
    rows = arm_rows(counted)
    found = rows.of(counted.decoded([decision(counted, 0, **said), decision(counted, 1, user="ann")]))
    assert found[USER_NUMBER].to_list() == [0]
    assert +rows.left_out == {reason: 1}
    assert rows.users == 1


def test_an_outcome_that_is_unknown_is_not_zero(counted: World) -> None:
    rows = arm_rows(counted)
    found = rows.of(
        counted.decoded(
            [
                decision(counted, 0, repin=1),
                decision(counted, 1, repin=None),
                decision(counted, 2, repin="absent"),
                decision(counted, 3, repin=1, closed_early=True),
            ]
        )
    )
    assert found[observed_column("repin")].to_list() == [True, False, False, False]
    assert found[observed_column("p2p")].to_list() == [True, True, True, False]
    assert +rows.left_out == {"closed_early": 1, "unobserved:repin": 2}


def test_users_keep_their_numbers_over_segments(counted: World) -> None:
    rows = arm_rows(counted)
    first = rows.of(counted.decoded([decision(counted, i, user=name) for i, name in enumerate("abc")]))
    second = rows.of(counted.decoded([decision(counted, 9 + i, user=name) for i, name in enumerate("dca")]))
    assert (first[USER_NUMBER].to_list(), second[USER_NUMBER].to_list()) == ([0, 1, 2], [3, 2, 0])
    assert rows.users == 4


def test_a_segment_without_the_experiment_has_the_same_columns(counted: World) -> None:
    rows = arm_rows(counted)
    some = rows.of(counted.decoded([decision(counted, 0)]))
    none = rows.of(counted.decoded([decision(counted, 1, arm=None)]))
    assert none.schema == some.schema
    assert np.array(none[WEIGHT]).shape == (0,)
