"""Determines whether a process's memory grows, by a line fitted to its resident memory after the warm-up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import linregress, t

from tests.chaos.observer import Sample

WARM_UP_SHARE = 0.25
"""The share of a process's life that counts as warm-up: imports, first windows and allocator arenas fill up."""
LEAST_POINTS = 20
MEGABYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class Life:
    """Resident bytes of one process over time (seconds)."""

    name: str
    times: tuple[float, ...]
    sizes: tuple[int, ...]

    @property
    def seconds(self) -> float:
        """How long the process was observed."""
        return self.times[-1] - self.times[0]


@dataclass(frozen=True, slots=True)
class MemorySlope:
    """Megabytes an hour, with a 95 % interval; `start` and `end` (MB) are the line's ends after the warm-up.

    The interval treats neighbouring samples as independent, which they are not, so it is too narrow, not too wide.
    """

    life: str
    seconds: float
    per_hour: float
    lower: float
    upper: float
    start: float
    end: float
    peak: float

    def __str__(self) -> str:
        return (
            f"{self.life}: {self.per_hour:+.1f} MB/hour ({self.lower:+.1f} to {self.upper:+.1f}) over "
            f"{self.seconds / 60:.1f} min after warm-up, {self.start:.0f} to {self.end:.0f} MB, peak {self.peak:.0f} MB"
        )


def lives(samples: Iterable[Sample]) -> list[Life]:
    """One for each process seen, in the order of their first appearance."""
    seen: dict[str, list[tuple[float, int]]] = {}
    for sample in samples:
        for name, size in sample.memory.items():
            seen.setdefault(name, []).append((sample.at, size))
    return [
        Life(name, tuple(at for at, _ in points), tuple(size for _, size in points)) for name, points in seen.items()
    ]


def memory_slope(life: Life, warm_up_share: float = WARM_UP_SHARE) -> MemorySlope | None:
    """The least-squares line after the warm-up; None when too few points are left."""
    begin = life.times[0] + warm_up_share * life.seconds
    kept = [(at, size / MEGABYTE) for at, size in zip(life.times, life.sizes, strict=True) if at >= begin]
    if len(kept) < LEAST_POINTS:
        return None
    hours = np.array([at for at, _ in kept]) / 3600.0
    sizes = np.array([size for _, size in kept])
    line = linregress(hours, sizes)
    error = float(line.stderr) if math.isfinite(line.stderr) else 0.0  # sizes that never change have no error
    half = float(t.ppf(0.975, len(kept) - 2)) * error
    start, end = (float(line.intercept + line.slope * hour) for hour in (hours[0], hours[-1]))
    slope = float(line.slope)
    return MemorySlope(
        life=life.name,
        seconds=float(hours[-1] - hours[0]) * 3600.0,
        per_hour=slope,
        lower=slope - half,
        upper=slope + half,
        start=start,
        end=end,
        peak=max(life.sizes) / MEGABYTE,
    )


def slopes(samples: Sequence[Sample]) -> list[MemorySlope]:
    """The slopes of all lives that were long enough, the longest life first."""
    found = [slope for life in lives(samples) if (slope := memory_slope(life)) is not None]
    return sorted(found, key=lambda slope: -slope.seconds)
