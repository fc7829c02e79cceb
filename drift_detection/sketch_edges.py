"""Chooses a sketch's bin edges: near the quantiles, but never through a cluster of nearly equal values.

On two runtimes the same network gives values that differ in their last digits (float32: about 1e-7). With few distinct
states, for example a binary feature, a quantile falls on a value that many requests share. An edge there would put half
of them into the next bin, and the distance between two histograms of the same values would be large. Therefore

- an edge lies half-way between two neighbouring values of the sample, as near to its quantile as possible but at a
  place with few values within `JITTER`;
- a cluster of values away from the others gets walls, which are edges on both sides: if the cluster moves, it is
  noticed.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

JITTER = 2e-6
"""Largest difference between two runtimes on the same value: absolute for values up to 1, relative above."""
SMALL_SCALE = 2e-3
"""The jitter is at most this share of the mean absolute value, because heads of rare events have values near 1e-5."""
FREE_RISK, GREATEST_RISK = 1e-3, 0.02
"""Shares of the sample within the jitter of an edge: up to the first the edge costs nothing, beyond the second it is
left out."""
RISK_COST = 25.0
"""How many ranks an edge may move to have one value less within its jitter."""
WALL = 5.0
"""Distance of a wall from its cluster, in jitters."""
CROWD_GAP, CROWD_WIDTH = 5e-3, 1e-2
"""Shares of the sample's range: the largest gap between neighbours of one cluster, and the largest width of a
cluster."""


def edges_of(sample: Floats, bins: int) -> tuple[float, ...]:
    """Strictly increasing edges for a non-empty sample of finite values: about `bins` - 1 of them, plus walls."""
    ordered = np.sort(sample)
    jitter = _jitter(ordered)
    edges = {*_quantile_edges(ordered, bins, jitter), *_walls(ordered, bins, jitter)}
    return tuple(sorted(edges or _around(ordered, jitter)))


def _jitter(ordered: Floats) -> float:
    sizes = np.abs(ordered)
    jitter = JITTER * max(1.0, float(sizes.max()))
    return min(jitter, SMALL_SCALE * float(sizes.mean())) or jitter


def _quantile_edges(ordered: Floats, bins: int, jitter: float) -> list[float]:
    """For each quantile the cheapest place between two distinct values: near in rank, with few values close by."""
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
    """Edges below and above all values, for a sample that is too narrow to divide but too wide for one cluster."""
    distance = WALL * jitter + float(ordered[-1] - ordered[0])
    return float(ordered[0]) - distance, float(ordered[-1]) + distance


def _walls(ordered: Floats, bins: int, jitter: float) -> list[float]:
    """Edges on both sides of each cluster that fills at least one bin, at most half-way to the neighbouring value."""
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
