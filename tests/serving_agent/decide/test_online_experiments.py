"""Which experiment and arm a user is in."""

from __future__ import annotations

from event_schemas.units import HOUR_MS
from serving_agent.decide.online_experiments import (
    LoadedArm,
    LoadedExperiment,
    arm_for,
    raised_log_rate,
    told_log_rates,
)


def experiment(
    name: str, start: int = 0, end: int = 100, share: float = 1.0, log_rate: float = 1.0
) -> LoadedExperiment:
    arms = (LoadedArm(f"{name}/a", 0.5), LoadedArm(f"{name}/b", 0.5))
    return LoadedExperiment(name, share, arms, start, end, log_rate, start + 5)


def label(experiments: list[LoadedExperiment], user: str | None, at: int = 50) -> str | None:
    arm = arm_for(experiments, "pepper", user, at)
    return None if arm is None else arm.label


def test_a_user_is_in_one_experiment_at_a_time_the_first_that_has_it() -> None:
    x, y = experiment("x", share=0.5), experiment("y", share=0.5)
    users = [f"u{number}" for number in range(400)]
    for user in users:
        alone = [label([each], user) for each in (x, y)]
        assert label([x, y], user) == (alone[0] or alone[1])
    assert {label([x, y], user) for user in users} == {None, "x/a", "x/b", "y/a", "y/b"}


def test_it_runs_from_start_to_end() -> None:
    runs = [label([experiment("x", 10, 20)], "u", at) is not None for at in (9, 10, 19, 20)]
    assert runs == [False, True, True, False]


def test_nobody_in_particular_is_in_no_experiment() -> None:
    assert {label([experiment("x")], user) for user in (None, "", " ", "null", "undefined")} == {None}
    assert label([], "u") is None


def test_the_highest_log_rate_counts_from_when_readers_know_it() -> None:
    two = [experiment("x", 0, 50, log_rate=0.3), experiment("y", 20, 100, log_rate=0.2)]
    assert [raised_log_rate(two, at) for at in (0, 5, 30, 60, 100)] == [0.0, 0.3, 0.3, 0.2, 0.0]
    assert raised_log_rate([], 0) == 0.0


def test_a_log_rate_is_told_an_hour_before_it_holds() -> None:
    next_week = 7 * 24 * HOUR_MS
    two = [experiment("x", 0, 50, log_rate=0.3), experiment("y", next_week, next_week + 100, log_rate=0.2)]
    told_at = next_week + 5 - HOUR_MS
    assert [told_log_rates(two, at) for at in (5, told_at - 1, told_at)] == [{0.3}, {0.3}, {0.2, 0.3}]
    assert told_log_rates(two[1:], 0, ahead_ms=8 * 24 * HOUR_MS) == {0.2}
