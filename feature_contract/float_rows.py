"""Vectors of a request as float32, the precision of the log and of training."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feature_contract.missing_features import AbsurdFeature, MissingFeatures


def float32_rows(rows: Sequence[Any], width: int, feature: str) -> NDArray[np.float32]:
    """float32[n, width]; a value too large for float32 becomes infinite, as in the log.

    Raises MissingFeatures naming `feature` if an entry is not a number.
    """
    try:
        with np.errstate(over="ignore"):
            return np.asarray(rows, dtype=np.float32).reshape(len(rows), width)
    except (TypeError, ValueError):
        raise MissingFeatures(feature, "contains a value that is not a number") from None


def require_within(rows: NDArray[np.float32], bound: float, feature: Callable[[int], str]) -> None:
    """Raise AbsurdFeature for the first row with a non-finite value or one beyond ±`bound`; `feature` names a row."""
    sound = np.abs(rows) <= bound  # a NaN is not
    if not sound.all():
        row, column = (int(axis[0]) for axis in np.nonzero(~sound))
        raise AbsurdFeature(feature(row), float(rows[row, column]), bound)
