"""Ages of past events on a log scale: whether a minute or an hour has passed matters more than which of two days."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.units import MINUTE_MS


def log_ages(ages_ms: NDArray[Any]) -> NDArray[np.float32]:
    """log(1 + age in minutes), of the same shape; an age below 0 (clock skew) counts as 0."""
    ages: NDArray[np.float32] = np.log1p(np.maximum(ages_ms, 0.0) / MINUTE_MS).astype(np.float32)
    return ages
