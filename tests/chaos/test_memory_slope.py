"""The slope of memory against lines whose slope is known."""

from __future__ import annotations

import random

import pytest

from tests.chaos.memory_slope import MEGABYTE, Life, lives, memory_slope, slopes
from tests.chaos.observer import Progress, Sample

NOTHING = Progress({}, {})


def life(per_hour: float, noise: float = 0.0, points: int = 400, warm_up: float = 80.0) -> Life:
    """Ten seconds between points; `warm_up` MB are gained in the first tenth."""
    draw = random.Random(3)
    times = [10.0 * n for n in range(points)]
    sizes = [
        int(MEGABYTE * (200 + warm_up * min(1.0, 10 * n / points) + per_hour * at / 3600 + draw.gauss(0.0, noise)))
        for n, at in enumerate(times)
    ]
    return Life("worker-1#1", tuple(times), tuple(sizes))


@pytest.mark.parametrize("per_hour", [0.0, 12.0, -5.0])
def test_the_warm_up_does_not_count(per_hour: float) -> None:
    slope = memory_slope(life(per_hour))
    assert slope is not None
    assert slope.per_hour == pytest.approx(per_hour, abs=0.1)
    assert slope.peak == pytest.approx(280 + max(0.0, per_hour * 3990 / 3600), abs=6)
    assert slope.end - slope.start == pytest.approx(per_hour * slope.seconds / 3600, abs=0.1)


def test_memory_that_never_changes_has_slope_zero_for_certain() -> None:
    slope = memory_slope(life(0.0, warm_up=0.0))
    assert slope is not None
    assert slope.lower == slope.per_hour == slope.upper == 0.0


def test_noise_widens_the_interval_around_the_truth() -> None:
    slope = memory_slope(life(10.0, noise=2.0))
    assert slope is not None
    assert slope.lower < 10.0 < slope.upper
    assert 0.5 < slope.upper - slope.lower < 5.0
    assert "MB/hour" in str(slope)


def test_a_life_too_short_has_no_slope() -> None:
    assert memory_slope(life(1.0, points=20)) is None


def test_lives_are_told_apart_and_the_longest_comes_first() -> None:
    samples = [
        Sample(
            at, at, NOTHING, None, frozenset(), {"worker-1#1": 100} if at < 30 else {"worker-1#2": 300, "worker-2#3": 5}
        )
        for at in (float(n) for n in range(100))
    ]
    assert [found.name for found in lives(samples)] == ["worker-1#1", "worker-1#2", "worker-2#3"]
    assert [slope.life for slope in slopes(samples)] == ["worker-1#2", "worker-2#3", "worker-1#1"]
