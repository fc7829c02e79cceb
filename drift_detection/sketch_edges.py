"""Where a sketch divides its sample: near the quantiles, but never through values that belong together.

The same network gives values that differ in their last digits on two runtimes (float32: some 1e-7). With few distinct
states, a binary feature for instance, a quantile falls on a value that many requests share. An edge there would send
half of them into the next bin, and a distance between two histograms of the same values would be large. So

- an edge lies half-way between two neighbouring values of the sample, at a place with few values within `JITTER` of it,
  as near to its quantile as such a place is;
- values that crowd together, away from the others, get walls on both sides: a crowd that moves is noticed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

JITTER = 2e-6
"""How far two runtimes may differ on the same value: relative to it, at least this absolute where values are near 1."""
SMALL_SCALE = 2e-3
"""The jitter is no more than this share of the mean size of the values: heads of rare events live near 1e-5."""
FREE_RISK, GREATEST_RISK = 1e-3, 0.02
"""Shares of the sample within the jitter of an edge: up to the first it stays, beyond the second it is left out."""
RISK_COST = 25.0
"""How many ranks an edge may move for one value less within its jitter."""
WALL = 5.0
"""Distance of a wall from its crowd, in jitters."""
CROWD_GAP, CROWD_WIDTH = 5e-3, 1e-2
"""Shares of the sample's range: values closer than the gap may be one crowd, which is no wider than the width."""


def edges_of(sample: Floats, bins: int) -> tuple[float, ...]:
    """Strictly increasing edges for a non-empty sample of finite values: about `bins` - 1, and walls."""
    ordered = np.sort(sample)
    jitter = _jitter(ordered)
    edges = {*_quantile_edges(ordered, bins, jitter), *_walls(ordered, bins, jitter)}
    return tuple(sorted(edges or _around(ordered, jitter)))


def _jitter(ordered: Floats) -> float:
    sizes = np.abs(ordered)
    jitter = JITTER * max(1.0, float(sizes.max()))
    return min(jitter, SMALL_SCALE * float(sizes.mean())) or jitter


def _quantile_edges(ordered: Floats, bins: int, jitter: float) -> list[float]:
    """For each quantile the cheapest place between two distinct values: near in rank, with few values beside it."""
    ranks = np.flatnonzero(np.diff(ordered) > 0) + 1
    if not ranks.size:
        return []
    places = ordered[ranks - 1] + (ordered[ranks] - ordered[ranks - 1]) / 2
    near = np.searchsorted(ordered, places + jitter, "right") - np.searchsorted(ordered, places - jitter, "left")
    risk = RISK_COST * np.maximum(near - FREE_RISK * ordered.size, 0.0)
    wanted = ordered.size * np.arange(1, bins) / bins
    chosen = [int(np.argmin(np.abs(ranks - rank) + risk)) for rank in wanted]
    return [float(places[place]) for place in chosen if near[place] <= GREATEST_RISK * ordered.size]


def _around(ordered: Floats, jitter: float) -> tuple[float, float]:
    """Edges below and above everything: a sample too narrow to be divided and too wide to be one value."""
    distance = WALL * jitter + float(ordered[-1] - ordered[0])
    return float(ordered[0]) - distance, float(ordered[-1]) + distance


def _walls(ordered: Floats, bins: int, jitter: float) -> list[float]:
    """Edges on both sides of each crowd that fills a bin or more, half-way to its neighbour where that is near."""
    reach = float(ordered[-1] - ordered[0])
    gap = max(2 * jitter, CROWD_GAP * reach)
    starts = np.r_[0, np.flatnonzero(np.diff(ordered) > gap) + 1]
    ends = np.r_[starts[1:], ordered.size]
    widest = max(WALL * jitter, CROWD_WIDTH * reach)
    walls: list[float] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        low, high = float(ordered[start]), float(ordered[end - 1])
        if end - start < ordered.size / bins or high - low > widest:
            continue
        distance = WALL * jitter + (high - low)
        below = low - distance if start == 0 else max(low - distance, (float(ordered[start - 1]) + low) / 2)
        above = high + distance if end == ordered.size else min(high + distance, (high + float(ordered[end])) / 2)
        walls += [below, above]
    return walls
