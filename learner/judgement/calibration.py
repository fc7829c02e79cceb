"""Do predicted values mean what they say? Predicted against observed rewards on the hold-out, by tenths."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of similar predictions: how many, mean prediction, mean reward."""

    rows: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """`expected_error`: mean over rows of |predicted − observed| of their bin (ECE); None without rows."""

    bins: tuple[CalibrationBin, ...]
    expected_error: float | None

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report."""
        return {"bins": [asdict(b) for b in self.bins], "expected_error": self.expected_error}


def calibrate(predicted: NDArray[np.floating[Any]], rewards: NDArray[np.floating[Any]]) -> Calibration:
    """Both float[n], in [0, 1]; bins of nearly equal size by predicted value."""
    if len(predicted) == 0:
        return Calibration((), None)
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    bins = tuple(CalibrationBin(len(p), float(predicted[p].mean()), float(rewards[p].mean())) for p in parts)
    error = sum(b.rows * abs(b.predicted - b.observed) for b in bins) / len(predicted)
    return Calibration(bins, float(error))
