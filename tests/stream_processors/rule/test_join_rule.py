"""Attribution: edges of the windows, kinds shared by objectives, sums."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.experiment_sections import GuardrailSpec, ObjectiveSpec
from stream_processors.rule.fates import Fate
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import reference_join
from tests.stream_processors.event_log import (
    CLICK_MS,
    CODEC,
    SAVE_MS,
    SKEW_MS,
    WINDOW_MS,
    EventLog,
    small_experiment,
    small_rule,
)


def test_the_rule_is_the_experiments() -> None:
    experiment = small_experiment(max_pending=7)
    rule = JoinRule.from_experiment(experiment)
    assert [objective.name for objective in rule.objectives] == ["click", "save"]
    assert [objective.attribution_ms for objective in rule.objectives] == [CLICK_MS, SAVE_MS]
    assert (rule.window_ms, rule.max_future_skew_ms, rule.max_pending) == (WINDOW_MS, SKEW_MS, 7)
    assert (rule.arms, rule.action_space) == (5, experiment.action_space.digest)
    assert rule.arm_weights.of(1) == [2.0]
    assert rule == JoinRule.from_experiment(small_experiment(max_pending=7)), "the action space stands for the weights"
    assert "arm_weights" not in repr(rule)


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


@pytest.mark.parametrize(
    ("kind", "delay", "reason"),
    [
        ("hide", 1, "unknown_kind"),
        ("Click", 1, "unknown_kind"),
        ("click", -1, "before_request"),
        ("click", 0, "too_late"),
        ("tap", -1, "before_request"),
        ("click", CLICK_MS + 1, "too_late"),
        ("tap", SAVE_MS + 1, "too_late"),
        ("visit", -1, "before_request"),
        ("visit", SAVE_MS + 1, "too_late"),
    ],
)
def test_what_counts_for_no_objective_has_a_reason(kind: str, delay: int, reason: str) -> None:
    watched = GuardrailSpec(name="visits", kinds=("visit",))
    rule = JoinRule.from_experiment(small_experiment().model_copy(update={"guardrails": (watched,)}))
    assert rule.outside_reason(kind, delay) == reason


def test_all_roles_are_counted_and_guardrails_as_long_as_the_longest_objective() -> None:
    experiment = small_experiment()
    signal = ObjectiveSpec(name="taps", kinds=("tap",), attribution=1, role="signal")
    visits = GuardrailSpec(name="visits", kinds=("visit",), clip=3)
    soon, nothing = GuardrailSpec(name="soon", kinds=("visit",), attribution=7), GuardrailSpec(name="nothing")
    watching = experiment.model_copy(
        update={"objectives": (*experiment.objectives, signal), "guardrails": (visits, soon, nothing)}
    )
    rule, before = JoinRule.from_experiment(watching), JoinRule.from_experiment(experiment)
    assert rule.objectives[: len(before.objectives)] == before.objectives
    assert [(each.name, each.clip, each.attribution_ms) for each in rule.objectives[len(before.objectives) :]] == [
        ("taps", 1.0, 1),
        ("visits", 3.0, SAVE_MS),
        ("soon", 1.0, 7),
    ]
    assert rule.window_ms == before.window_ms
    assert watching.objective_names == experiment.objective_names


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


@given(
    lateness=st.integers(0, 60), skew=st.integers(0, 60), ahead=st.integers(0, 60), delay=st.integers(0, SAVE_MS - 1)
)
def test_a_fast_clock_orphans_nothing_of_other_hosts_unless_the_skew_is_above_the_lateness(
    lateness: int, skew: int, ahead: int, delay: int
) -> None:
    """Why the join warns: one host's event, `ahead` of the clock, comes before another host's engagement."""
    rule = replace(small_rule(), window_ms=SAVE_MS + lateness, max_future_skew_ms=skew)
    log, now = EventLog(), 1_000 + delay
    log.decision("a", 1_000)
    log.request("b", now + ahead, append_time=now)
    saved = log.engagement("a", now, kind="save")
    log.heartbeat(10_000)
    fate = reference_join(rule, CODEC, log.records).fates[saved.partition, saved.offset]
    closed = ahead <= skew and delay + ahead >= SAVE_MS + lateness
    assert (fate is Fate.JOINED) is not closed
    assert not closed or lateness < skew
