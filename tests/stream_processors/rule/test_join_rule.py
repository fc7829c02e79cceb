"""Attribution: edges of the windows, kinds shared by objectives, sums."""

from __future__ import annotations

import pytest

from stream_processors.rule.join_rule import JoinRule
from tests.stream_processors.event_log import CLICK_MS, SAVE_MS, SKEW_MS, WINDOW_MS, small_experiment, small_rule


def test_the_rule_is_the_experiments() -> None:
    experiment = small_experiment(max_pending=7)
    rule = JoinRule.from_experiment(experiment)
    assert [objective.name for objective in rule.objectives] == ["click", "save"]
    assert [objective.attribution_ms for objective in rule.objectives] == [CLICK_MS, SAVE_MS]
    assert (rule.window_ms, rule.max_future_skew_ms, rule.max_pending) == (WINDOW_MS, SKEW_MS, 7)
    assert (rule.arms, rule.action_space) == (5, experiment.action_space.digest)


@pytest.mark.parametrize(
    ("kind", "delay", "counts"),
    [
        ("click", 0, True),
        ("click", CLICK_MS, True),
        ("click", -1, False),
        ("click", CLICK_MS + 1, False),
        ("tap", CLICK_MS + 1, True),
        ("tap", SAVE_MS + 1, False),
        ("hide", 1, False),
    ],
)
def test_an_engagement_counts_from_the_request_to_the_end_of_its_attribution(
    kind: str, delay: int, counts: bool
) -> None:
    assert small_rule().counts(kind, delay) is counts


def test_each_objective_sums_the_values_inside_its_own_window() -> None:
    engagements = [
        ("tap", 10, 1.0),
        ("tap", CLICK_MS + 1, 0.5),
        ("click", 5, 2.0),
        ("save", SAVE_MS, 4.0),
        ("hide", 1, 9.0),
    ]
    assert small_rule().totals(engagements) == (3.0, 5.5)


def test_nothing_counts_as_zero() -> None:
    assert small_rule().totals([]) == (0.0, 0.0)
