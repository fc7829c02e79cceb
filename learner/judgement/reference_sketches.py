"""Reference sketches of a checkpoint: serving nodes compare their live traffic with these distributions.

Ranker heads have one value per request, the head's mean over the request's candidates. Q heads have the values of all
arms of each request. Both cover the newest rows of the window.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from drift_detection.distribution_distance import population_stability_index
from drift_detection.quantile_sketch import QuantileSketch
from event_schemas.records import MOST_HEADS

REFERENCE_ROWS = 5_000
REFERENCE_VALUES = 5_000_000
"""Values of a Q head's reference, where each request has one for every arm."""
RAREST_HEAD = 0.02
"""Share of the ranked requests that must have a head before it gets a reference. Serving treats a head that is missing
from live traffic as drift, so a head name misspelt once must not move the whole fleet to production weights."""
SMALLEST_SAMPLE = 200
"""With fewer requests on either side PSI is mostly noise, so no shift is computed."""


def ranker_head_values(frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Head name -> the logged means, float64[n] in row order; empty if no ranking was logged."""
    return {name: part["mean"].cast(pl.Float64).to_numpy() for name, part in logged_heads(frame).items()}


def logged_heads(frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Head -> its `row` in the frame of examples and its `mean` there, in row order; empty if no ranking was logged."""
    if frame.height == 0 or frame["ranking"].dtype == pl.Null:
        return {}
    heads = frame.select(pl.col("ranking").struct.field("heads")).with_row_index("row").explode("heads")
    heads = heads.drop_nulls("heads")
    if heads.height == 0:
        return {}
    by_name = (
        heads.unnest("heads").select("row", "head", "mean").partition_by("head", maintain_order=True, as_dict=True)
    )
    return {str(name): part for (name,), part in by_name.items()}


def ranker_head_sketches(frame: pl.DataFrame) -> dict[str, QuantileSketch]:
    """A sketch per ranker head over the newest rows (`frame` in event-time order).

    Rare heads are left out, and so are all but the MOST_HEADS most frequent ones.
    """
    newest = frame.tail(REFERENCE_ROWS)
    heads = _finite(newest)
    ranked = newest.height - newest["ranking"].null_count() if heads else 0
    common = {name: values for name, values in heads.items() if len(values) >= RAREST_HEAD * ranked}
    kept = _most_frequent({name: len(values) for name, values in common.items()})
    return {name: QuantileSketch.from_sample(common[name]) for name in kept}


def q_reference_rows(rows: int, arms: int) -> slice:
    """Which of `rows` rows, in event-time order, the Q heads' reference covers: at least one, if there is one."""
    covered = min(rows, REFERENCE_ROWS, max(1, REFERENCE_VALUES // arms))
    return slice(rows - covered, rows)


def q_head_sketches(q: NDArray[np.float32], objectives: Sequence[str]) -> dict[str, QuantileSketch]:
    """A sketch per objective over every arm of every request: q float32[n, arms, objectives]; empty without rows."""
    if len(q) == 0:
        return {}
    return {name: QuantileSketch.from_sample(q[:, :, column].ravel()) for column, name in enumerate(objectives)}


def head_shift(earlier: pl.DataFrame, later: pl.DataFrame) -> dict[str, float]:
    """Population stability index of each ranker head between two spans.

    Heads with too few values are left out, and so are all but the MOST_HEADS most frequent ones.
    """
    before, after = _finite(earlier), _finite(later)
    samples = {name: min(len(before[name]), len(after[name])) for name in before.keys() & after.keys()}
    shifts = {}
    for name in sorted(_most_frequent({name: count for name, count in samples.items() if count >= SMALLEST_SAMPLE})):
        reference = QuantileSketch.from_sample(before[name])
        live = reference.emptied().updated(after[name])
        shifts[name] = population_stability_index(reference.counts, live.counts)
    return shifts


def sketches_as_dict(sketches: Mapping[str, QuantileSketch]) -> dict[str, Any]:
    """For a checkpoint's manifest."""
    return {name: sketch.as_dict() for name, sketch in sketches.items()}


def _most_frequent(counts: Mapping[str, int]) -> list[str]:
    """At most MOST_HEADS names: those with the highest counts, by name among equals."""
    return sorted(counts, key=lambda name: (-counts[name], name))[:MOST_HEADS]


def _finite(frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    values = {name: means[np.isfinite(means)] for name, means in ranker_head_values(frame).items()}
    return {name: means for name, means in values.items() if len(means)}
