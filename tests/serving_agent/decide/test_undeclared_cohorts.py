"""Requests in cohorts that nobody declared are counted, and each name is told of once."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from monitoring.metrics import ServingMetrics
from serving_agent.decide.undeclared_cohorts import MOST_NAMES, UndeclaredCohorts


class Told:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})


def test_each_name_is_told_of_once_and_every_request_is_counted() -> None:
    registry, told = CollectorRegistry(), Told()
    cohorts = UndeclaredCohorts(["CORE", "NEW"], ServingMetrics(registry).undeclared_cohorts, told)
    for cohort in ("CORE", None, "core ", "core ", "VIP", "NEW"):
        cohorts.note(cohort)
    assert registry.get_sample_value("trimtab_serving_undeclared_cohorts_total") == 3
    assert [(line["cohort"], line["fix"].split(";")[0]) for line in told.lines] == [
        ("'core '", "send 'CORE'"),
        ("'VIP'", "declare it under [[cohorts]]"),
    ]


def test_a_name_for_each_request_does_not_fill_the_log() -> None:
    told = Told()
    cohorts = UndeclaredCohorts(["CORE"], None, told)
    for number in range(2 * MOST_NAMES):
        cohorts.note(f"user {number}")
    assert len(told.lines) == MOST_NAMES


def test_without_declared_cohorts_none_is_undeclared() -> None:
    told = Told()
    UndeclaredCohorts([], None, told).note("VIP")
    assert told.lines == []
