"""A distribution as counts between the quantiles of a reference sample.

A sketch is small enough for a checkpoint manifest (about ten numbers per head). Two sketches with the
same edges are histograms that can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from drift_detection.sketch_edges import edges_of
from event_schemas.errors import TrimtabError

Values = Iterable[float] | npt.NDArray[np.floating[Any]]

DEFAULT_BINS = 10


class SketchError(TrimtabError):
    """A sketch is malformed, or two sketches do not share their edges."""


@dataclass(frozen=True, slots=True)
class QuantileSketch:
    """Counts of values by bin; bin i contains edges[i-1] < v <= edges[i], the outer bins are open.

    edges       strictly increasing, finite
    counts      len(edges) + 1 counts of finite values
    non_finite  number of NaN and infinite values; they are in no bin
    lowest, highest   extremes of the finite values, None before the first value
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    non_finite: int = 0
    lowest: float | None = None
    highest: float | None = None

    def __post_init__(self) -> None:
        sound = all(math.isfinite(edge) for edge in self.edges)
        sound = sound and all(a < b for a, b in zip(self.edges, self.edges[1:], strict=False))
        if not self.edges or not sound:
            raise SketchError(
                f"sketch edges {list(self.edges)[:4]}… are not strictly increasing finite numbers",
                fix="build sketches with QuantileSketch.from_sample",
            )
        if not all(math.isfinite(end) for end in (self.lowest, self.highest) if end is not None):
            raise SketchError(
                f"sketch extremes {self.lowest} and {self.highest} are not finite",
                fix="build sketches with QuantileSketch.from_sample",
            )
        if len(self.counts) != len(self.edges) + 1 or min(self.counts) < 0 or self.non_finite < 0:
            raise SketchError(
                f"sketch has {len(self.counts)} counts for {len(self.edges)} edges, or a negative count",
                fix="build sketches with QuantileSketch.from_sample",
            )

    @property
    def total(self) -> int:
        """Finite values counted."""
        return sum(self.counts)

    @property
    def seen(self) -> int:
        """All values, finite or not."""
        return self.total + self.non_finite

    @classmethod
    def from_sample(cls, values: Values, bins: int = DEFAULT_BINS) -> QuantileSketch:
        """A sketch with edges near the sample's quantiles (`bins` bins of nearly equal mass) that counts the sample.

        Values that lie close together get their own bin (see `sketch_edges`). Thus a change of a
        constant head is noticed, but differences in the last digits between two runtimes are not.
        Raises SketchError without a finite value or with fewer than two bins.
        """
        sample = _as_array(values)
        finite = sample[np.isfinite(sample)]
        if finite.size == 0 or bins < 2:
            raise SketchError(
                f"cannot build a sketch of {finite.size} finite values in {bins} bins",
                fix="give at least one finite value and two bins",
            )
        edges = edges_of(finite, bins)
        return cls(edges=edges, counts=(0,) * (len(edges) + 1)).updated(sample)

    def updated(self, values: Values) -> QuantileSketch:
        """A sketch with the same edges that counts `values` as well."""
        sample = _as_array(values)
        finite = sample[np.isfinite(sample)]
        if sample.size == 0:
            return self
        added = np.bincount(self.bins_of(finite), minlength=len(self.counts))
        return replace(
            self,
            counts=tuple(int(old + new) for old, new in zip(self.counts, added, strict=True)),
            non_finite=self.non_finite + int(sample.size - finite.size),
            lowest=_extreme(min, self.lowest, float(finite.min()) if finite.size else None),
            highest=_extreme(max, self.highest, float(finite.max()) if finite.size else None),
        )

    def emptied(self) -> QuantileSketch:
        """An empty sketch with the same edges, for counting live values."""
        return QuantileSketch(edges=self.edges, counts=(0,) * len(self.counts))

    def bins_of(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """int[n]: the bin of each finite value."""
        return np.searchsorted(np.asarray(self.edges), values, side="left").astype(np.int64)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "edges": list(self.edges),
            "counts": list(self.counts),
            "total": self.total,
            "non_finite": self.non_finite,
            "lowest": self.lowest,
            "highest": self.highest,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> QuantileSketch:
        """The sketch from its `as_dict` form; raises SketchError if fields are missing or inconsistent."""
        try:
            sketch = cls(
                edges=tuple(float(edge) for edge in data["edges"]),
                counts=tuple(index(count) for count in data["counts"]),
                non_finite=index(data["non_finite"]),
                lowest=None if data["lowest"] is None else float(data["lowest"]),
                highest=None if data["highest"] is None else float(data["highest"]),
            )
            total = index(data["total"])
        except (KeyError, TypeError, ValueError) as error:
            raise SketchError(
                f"not a sketch: {error!r}", fix="use the sketch of a checkpoint manifest unchanged"
            ) from error
        if total != sketch.total:
            raise SketchError(
                f"sketch counts sum to {sketch.total}, but its total is {total}",
                fix="use the sketch of a checkpoint manifest unchanged",
            )
        return sketch


def _as_array(values: Values) -> npt.NDArray[np.float64]:
    ready = values if isinstance(values, np.ndarray | Sequence) else list(values)
    return np.asarray(ready, dtype=np.float64).ravel()


def _extreme(choose: Any, *candidates: float | None) -> float | None:
    present = [value for value in candidates if value is not None]
    return choose(present) if present else None
