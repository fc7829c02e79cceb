"""Distances between two histograms over the same bins.

PSI and KS complement the sequential test because people know them. Neither is a calibrated test on a
stream: both report drift on a window of correlated values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from drift_detection.quantile_sketch import SketchError

SMOOTHING = 0.5
"""Pseudo-count per bin (Jeffreys), so that an empty bin contributes a finite amount."""


def population_stability_index(reference: Sequence[int], live: Sequence[int], smoothing: float = SMOOTHING) -> float:
    """PSI = sum_b (p_b - q_b) ln(p_b / q_b), the symmetrised Kullback-Leibler divergence, >= 0.

    Convention: below 0.1 stable, above 0.25 shifted. p and q are smoothed shares per bin. Bins that are empty on both
    sides are ignored: their smoothed shares would differ only because the sample sizes differ.
    """
    _require_same_bins(reference, live)
    told = (np.asarray(reference) > 0) | (np.asarray(live) > 0)
    p, q = _shares(np.asarray(reference)[told], smoothing), _shares(np.asarray(live)[told], smoothing)
    return float(np.sum((p - q) * np.log(p / q)))


def ks_of_counts(reference: Sequence[int], live: Sequence[int]) -> float:
    """Kolmogorov-Smirnov statistic at the bin edges: a lower bound of the exact statistic, in [0, 1]."""
    _require_same_bins(reference, live)
    p, q = _shares(reference, 0.0), _shares(live, 0.0)
    return float(np.abs(np.cumsum(p - q)).max())


def _shares(counts: npt.ArrayLike, smoothing: float) -> npt.NDArray[np.float64]:
    smoothed = np.asarray(counts, dtype=np.float64) + smoothing
    total = float(smoothed.sum())
    if total <= 0:
        raise SketchError("a histogram is empty", fix="compare only histograms with at least one value")
    return smoothed / total


def _require_same_bins(reference: Sequence[int], live: Sequence[int]) -> None:
    if len(reference) != len(live):
        raise SketchError(
            f"histograms of {len(reference)} and {len(live)} bins cannot be compared",
            fix="count live values in the bins of the reference",
        )
