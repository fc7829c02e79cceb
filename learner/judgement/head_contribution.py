"""Which of the ranker's heads carry the utility: c_i = |w_i h_i| / Σ_j |w_j h_j| (PRL-PUTS, Eq. 11 and Fig. 4 to 6).

The log has the mean of each head over a request's candidates, and not each candidate's prediction. So a request's
contribution is that of its mean candidate: the share of the utility that all candidates together get from the head.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from learner.judgement.reference_sketches import logged_heads


@dataclass(frozen=True, slots=True)
class HeadShare:
    """One head: its weight, the mean of its contribution over requests, and the 10th and 90th percentile of that."""

    head: str
    weight: float
    mean: float
    p10: float
    p90: float


@dataclass(frozen=True, slots=True)
class WeightSweep:
    """How the contribution of a head moves as its own weight does, from `values[0]` to `values[-1]`, others fixed."""

    head: str
    values: tuple[float, ...]
    contributions: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HeadContribution:
    """Over `requests` with all of the heads; `unweighted` are logged heads whose weight nobody named.

    These are in no share, so the others' shares are too large. `refusal` says why there are no shares.
    """

    requests: int
    shares: tuple[HeadShare, ...] = ()
    sweeps: tuple[WeightSweep, ...] = ()
    unweighted: tuple[str, ...] = ()
    refusal: str | None = None


def contributions(heads: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n, H]: |w h| / Σ |w h| of heads float64[n, H] under weights float64[H] or [n, H]; 0 where all are 0."""
    parts = np.abs(heads * weights)
    total = parts.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = np.divide(parts, total, out=np.zeros_like(parts), where=total > 0.0)
    return found


def weight_sweep(
    heads: NDArray[np.float64], weights: NDArray[np.float64], column: int, values: Sequence[float]
) -> tuple[float, ...]:
    """The mean contribution of the head at `column` for each of the `values` of its weight (PRL-PUTS, Fig. 5 and 6)."""
    found = []
    for value in values:
        moved = weights.copy()
        moved[column] = value
        found.append(float(contributions(heads, moved)[:, column].mean()))
    return tuple(found)


def head_contribution(
    means: Mapping[str, NDArray[np.float64]], space: ActionSpace, fixed: Mapping[str, float], steps: int = 7
) -> HeadContribution:
    """`means`: head -> float64[n], its mean over each request's candidates, NaN where it is not logged.

    The tuned heads have their production weights, and `fixed` gives those of others. Each tuned weight is swept over
    `steps` values of its range. Raises nothing: what is missing is the `refusal`.
    """
    if not space.weight_names:
        return HeadContribution(0, refusal="the arms are a catalogue: no head has a weight")
    if not means:
        return HeadContribution(
            0,
            refusal="no logged request has its ranker's heads: give `heads` when a decision is applied"
            " (`decision.applied(heads=…)`)",
        )
    absent = [name for name in space.weight_names if name not in means]
    if absent:
        return HeadContribution(
            0, refusal=f"the log has no head named {', '.join(absent)}: log heads by the names of the weights"
        )
    weights = dict(zip(space.weight_names, space.weights[space.production_arm].tolist(), strict=True)) | dict(fixed)
    names = [name for name in weights if name in means]
    table = np.column_stack([means[name] for name in names])
    table = table[np.isfinite(table).all(axis=1)]
    unweighted = tuple(sorted(name for name in means if name not in weights))
    if not len(table):
        return HeadContribution(0, unweighted=unweighted, refusal="no request has all of the heads")
    vector = np.array([weights[name] for name in names])
    found = contributions(table, vector)
    shares = [
        HeadShare(name, weights[name], float(column.mean()), *map(float, np.quantile(column, (0.1, 0.9))))
        for name, column in zip(names, found.T, strict=True)
    ]
    sweeps = []
    for place, name in enumerate(space.weight_names):
        values = np.linspace(space.low[place], space.high[place], steps).tolist()
        sweeps.append(WeightSweep(name, tuple(values), weight_sweep(table, vector, names.index(name), values)))
    shares.sort(key=lambda share: -share.mean)
    return HeadContribution(len(table), tuple(shares), tuple(sweeps), unweighted)


def head_means(frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Head -> float64[n], the logged means of a frame of examples by row; NaN where a row has none."""
    found: dict[str, NDArray[np.float64]] = {}
    for name, rows in sorted(logged_heads(frame).items()):
        column = np.full(frame.height, np.nan)
        column[rows["row"].to_numpy()] = rows["mean"].to_numpy()
        found[name] = column
    return found
