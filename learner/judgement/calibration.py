"""Calibration: compares predicted with observed rewards on the hold-out, by tenths of the predictions."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows with similar predictions: their number, mean prediction and mean reward."""

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """`expected_error` is the mean over rows of |predicted − observed| of their bin (ECE), or None without rows."""

    bins: tuple[CalibrationBin, ...]
    expected_error: float | None

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report."""
        return {"bins": [asdict(b) for b in self.bins], "expected_error": self.expected_error}


def calibrate(predicted: NDArray[np.floating[Any]], rewards: NDArray[np.floating[Any]]) -> Calibration:
    """Both arguments are float[n], in the objective's own units; bins have nearly equal size, by predicted value."""
    if len(predicted) == 0:
        return Calibration((), None)
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    bins = tuple(CalibrationBin(len(p), float(predicted[p].mean()), float(rewards[p].mean())) for p in parts)
    error = sum(b.rows * abs(b.predicted - b.observed) for b in bins) / len(predicted)
    return Calibration(bins, float(error))
