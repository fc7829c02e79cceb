"""What rows earned: of what is optimised and what is watched, in own units and in units of the clips."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from event_schemas.experiment import Experiment
from learner.examples.row_outcomes import RowOutcomes, counted_outcomes

BY_USER = {"name": "small", "salt": "s", "exploration_rate": 0.5, "log_unit": "user"}
OBJECTIVES = [
    {"name": "rating", "kinds": ["rating"], "attribution": "5m", "clip": 5},
    {"name": "p2p", "kinds": ["p2p"], "attribution": "5m"},
]
GUARDRAILS = [
    {"name": "visits", "kinds": ["visit"], "attribution": "5m", "clip": 2},
    {"name": "days", "kinds": ["day"], "attribution": "5m", "per": "user-day"},
]


def told(objective: str, reward: float, *, observed: bool = True) -> dict[str, Any]:
    return {"objective": objective, "count": reward, "reward": reward, "observed": observed}


@pytest.fixture
def outcomes(make_experiment: Callable[..., Experiment], make_world: Any) -> RowOutcomes:
    experiment = make_experiment(experiment=BY_USER, objectives=OBJECTIVES, guardrails=GUARDRAILS)
    world = make_world(experiment)
    examples = world.examples(4)
    lists: list[list[dict[str, Any]]] = [
        [told("rating", 4.01), told("p2p", 1.0), told("visits", 3.0), told("days", 1.0)],
        [told("p2p", 1.0, observed=False), told("rating", 7.3)],
        [],
        [told("rating", -1.0), told("p2p", float("nan")), told("visits", 0.5)],
    ]
    for example, each in zip(examples, lists, strict=True):
        example["outcome"]["objectives"] = each
    return RowOutcomes.of(world.frame(examples), experiment)


def test_each_counted_outcome_is_a_column_and_what_is_unknown_is_masked(outcomes: RowOutcomes) -> None:
    assert (outcomes.names, outcomes.optimised) == (("rating", "p2p", "visits"), 2)
    assert outcomes.rewards.tolist() == [[4.01, 1.0, 2.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.5]]
    assert outcomes.observed.tolist() == [[True] * 3, [True, False, False], [False] * 3, [False, False, True]]
    assert outcomes.clips.tolist() == [5.0, 1.0, 2.0]


def test_by_name_and_by_row(outcomes: RowOutcomes) -> None:
    rewards, observed = outcomes.named(("visits", "rating"))
    assert rewards.tolist() == outcomes.rewards[:, [2, 0]].tolist()
    assert observed.tolist() == outcomes.observed[:, [2, 0]].tolist()
    assert outcomes.named(outcomes.names)[0] is outcomes.rewards
    assert outcomes.take(np.array([3, 0])).rewards.tolist() == outcomes.rewards[[3, 0]].tolist()
    expected = np.array([[0.802, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]], dtype=np.float32)
    assert outcomes.in_clips().dtype == np.float32
    np.testing.assert_array_equal(outcomes.in_clips(), expected)


def test_counts_are_those_before_clipping(make_experiment: Any, make_world: Any) -> None:
    world = make_world(make_experiment())
    examples = world.examples(3)
    lists = [[told("repin", 3.0)], [told("repin", 1.0, observed=False)], [told("repin", -1.0), told("p2p", 2.0)]]
    for example, each in zip(examples, lists, strict=True):
        example["outcome"]["objectives"] = each
    found = counted_outcomes(world.frame(examples)["outcome_objectives"], ["repin", "p2p"])
    assert {name: (counts.tolist(), observed.tolist()) for name, (counts, observed) in found.items()} == {
        "repin": ([3.0, 0.0, 0.0], [True, False, False]),
        "p2p": ([0.0, 0.0, 2.0], [False, False, True]),
    }
