"""A session that makes too much of the traffic is named once; ordinary traffic names nobody."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from monitoring.metrics import ServingMetrics
from serving_agent.decide import large_units
from serving_agent.decide.large_units import COUNTERS, LARGEST_SHARE, LEAST_SEEN, MOST_NAMES, WINDOW, LargeUnits


class Told:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})


def feed(units: LargeUnits, seen: int, every: int, large: str = "bot") -> None:
    """Decisions of which one in `every` is of the unit `large`, and the others are of sessions of three requests."""
    for number in range(seen):
        units.note(large if number % every == 0 else f"s{number // 3}")


def test_a_large_unit_is_named_once_and_counted_once_per_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_units, "WINDOW", 20_000)
    monkeypatch.setattr(large_units, "LEAST_SEEN", 2_000)
    registry, told = CollectorRegistry(), Told()
    units = LargeUnits(ServingMetrics(registry).large_units, told)
    feed(units, 3 * 20_000, 200)  # 0.5 %
    [line] = told.lines
    assert (line["event"], line["session"]) == ("one session makes more than 0.1 % of the traffic", "'bot'")
    assert "send each user's own session_id" in line["fix"]
    assert registry.get_sample_value("trimtab_serving_large_units_total") == 3


def test_units_below_the_share_are_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_units, "WINDOW", 20_000)
    monkeypatch.setattr(large_units, "LEAST_SEEN", 2_000)
    told = Told()
    feed(LargeUnits(None, told), 2 * 20_000, 1_100)  # 0.09 %
    assert told.lines == []


def test_little_traffic_names_nobody() -> None:
    told = Told()
    units = LargeUnits(None, told)
    for _ in range(LEAST_SEEN - 1):
        units.note("the only tester")
    assert told.lines == []
    units.note("the only tester")
    assert len(told.lines) == 1


def test_counts_are_never_too_high_and_too_low_by_a_quarter_of_the_limit_at_most() -> None:
    assert WINDOW / COUNTERS <= LARGEST_SHARE * WINDOW / 4
    units, true = LargeUnits(None, Told()), 0
    for number in range(30_000):
        large = number % 97 == 0
        true += large
        units.note("bot" if large else f"s{number}")
    assert true - 30_000 / COUNTERS <= units._counts["bot"] <= true
    assert len(units._counts) <= COUNTERS


def test_names_without_end_do_not_fill_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_units, "WINDOW", 1_000)
    monkeypatch.setattr(large_units, "LEAST_SEEN", 0)
    told = Told()
    units = LargeUnits(None, told)
    for number in range(2 * MOST_NAMES):
        units.note(f"s{number}")
        units.note(f"s{number}")
    assert len(told.lines) == MOST_NAMES


def test_a_child_starts_its_own_window() -> None:
    units = LargeUnits(None, Told())
    for _ in range(5):
        units.note("s")
    units.after_fork()
    units.note("s")
    assert (units._seen, units._counts) == (1, {"s": 1})
