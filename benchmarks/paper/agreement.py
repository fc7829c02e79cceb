"""Finding 1: do lifts estimated on the hold-out agree with those of the same α online?

Both sides are estimates. With V the variance over α of the true lifts and s² the mean squared error of a side, its
reliability is R = V / (V + s²), and estimates that miss the truth by chance alone have a correlation of about
√(R_offline R_online) and a slope (online on offline) of about R_offline: the noise ceilings that r and the slope are
shown beside. Errors that all α of a side share, such as production's, lower neither, so a ceiling may be exceeded.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from benchmarks.paper.lift_points import Point, lifts_of, over_seeds

FIELDS = ("slope", "slope_ceiling", "intercept", "r", "r_ceiling", "r_truth", "signs", "clear_signs")
TWO_SIDED = float(norm.ppf(0.975))


def agreement(offline: Sequence[Sequence[Point]], online: Sequence[Sequence[Point]]) -> list[dict[str, Any]]:
    """For each objective: how the points of the same α agree; lifts in percent.

    slope, intercept  of the line through online on offline lifts, least squares
    r                 their correlation, and `r_truth` that of the exact lifts
    signs             share of α whose lifts have one sign on both sides
    clear, clear_signs  α of which both intervals leave out 0, and their share with one sign
    covered           [offline, online] intervals that hold the true lift, of `intervals`
    """
    return [
        _agreement(*({name: lifts_of(side, name)[:, place] for name in side[0][0]} for side in (offline, online)))
        for place in range(len(offline[0]))
    ]


def summary(runs: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Over seeds, for each objective: means with intervals, and sums of covered intervals."""
    cells = []
    for objective in zip(*runs, strict=True):
        means = {name: over_seeds([run[name] for run in objective]) for name in FIELDS}
        counts = {name: np.sum([run[name] for run in objective], axis=0).tolist() for name in ("covered", "intervals")}
        cells.append(means | counts | {"clear": int(sum(run["clear"] for run in objective))})
    return cells


def _agreement(offline: Mapping[str, NDArray[np.float64]], online: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    x, y = offline["lift"], online["lift"]
    with warnings.catch_warnings(action="ignore"):  # one value on a side: the slope is then undefined
        slope, intercept = np.polyfit(x, y, 1)
        r, r_truth = (float(np.corrcoef(*each)[0, 1]) for each in ((x, y), (offline["true"], online["true"])))
    reliable = [_reliability(side) for side in (offline, online)]
    apart = [(side["lower"] > 0.0) | (side["upper"] < 0.0) for side in (offline, online)]
    clear = apart[0] & apart[1]
    same = np.sign(x) == np.sign(y)
    sides = (offline, online)
    found = {
        "slope": float(slope),
        "slope_ceiling": reliable[0],
        "intercept": float(intercept),
        "r": r,
        "r_ceiling": float(np.sqrt(reliable[0] * reliable[1])),
        "r_truth": r_truth,
        "signs": float(same.mean()),
        "clear_signs": float(same[clear].mean()) if clear.any() else math.nan,
    }
    counts = {
        "clear": int(clear.sum()),
        "covered": [int(((side["lower"] <= side["true"]) & (side["true"] <= side["upper"])).sum()) for side in sides],
        "intervals": [int(np.isfinite(side["lower"]).sum()) for side in sides],
    }
    return counts | {name: round(value, 4) if math.isfinite(value) else None for name, value in found.items()}


def _reliability(side: Mapping[str, NDArray[np.float64]]) -> float:
    """V / (V + s²); the errors are those that the intervals imply, and intervals that were refused imply none."""
    errors = (side["upper"] - side["lower"]) / (2.0 * TWO_SIDED)
    known = errors[np.isfinite(errors)]
    if not len(known):
        return math.nan
    variance, noise = float(np.var(side["true"])), float(np.mean(known**2))
    return variance / (variance + noise)
