"""Simulated online experiments: their means are as they were drawn, and the variance is that of the comparison."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.online_worlds import OUTCOMES, OnlineWorld, daily_looks


def last_look(world: OnlineWorld, runs: int, days: int) -> dict[str, tuple[float, float, float]]:
    """By outcome: the lift over all runs, and the sd of differences over runs, as drawn and as stated."""
    for looked in daily_looks(world, runs, days, np.random.default_rng(4)):
        seen = looked
    found = {}
    for name, (arm, control, positive) in seen.items():
        assert (positive > 0.0).all()
        difference = arm.mean - control.mean
        stated = float(np.sqrt(arm.variance + control.variance).mean())
        found[name] = (float(arm.mean.mean() / control.mean.mean() - 1.0), float(difference.std()), stated)
    return found


@pytest.mark.parametrize("world", [OnlineWorld(0.2, 100, (0.2, -0.1)), OnlineWorld(0.2, 100, (0.2, -0.1), True, 1e9)])
def test_lifts_and_errors_are_what_they_should_be(world: OnlineWorld) -> None:
    found = last_look(world, runs=300, days=12)
    assert tuple(found) == OUTCOMES
    assert found["objective"][0] == pytest.approx(0.2, abs=0.04)
    assert found["second"][0] == pytest.approx(-0.1, abs=0.04)
    assert 0.0 < found["active_day"][0] < 0.2
    for _, drawn, stated in found.values():
        assert stated == pytest.approx(drawn, rel=0.15)


def test_requests_a_day_are_about_right() -> None:
    world = OnlineWorld(0.1, 300)
    assert world.requests_a_day == 720.0
