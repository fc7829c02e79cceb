"""Limits the numbers of a request: refuses implausible ones and encodes numbers beyond ±10 by their logarithm.

Otherwise one absurd value (1e30 in a field that counts hours) would dominate the mean and the variance of everything
that is normalised together with it. The bounds refuse implausible values. Within the bounds, large values only grow
logarithmically, and ordinary values up to 10 are unchanged.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.number_bounds import LARGEST_FLOAT

LINEAR_TO = 10.0


@dataclass(frozen=True, slots=True)
class NumberRange:
    """How one version of the encoding handles numbers.

    largest_number     bound on the absolute value of a context number
    largest_component  bound on the absolute value of each component of an embedding
    compressed         whether values beyond ±LINEAR_TO are encoded by their logarithm
    """

    largest_number: float
    largest_component: float
    compressed: bool

    def encoded(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The values, which must be within the bounds, as the network reads them."""
        return (compress(values) if self.compressed else values).astype(np.float32, copy=False)


NUMBER_RANGES = {
    1: NumberRange(LARGEST_FLOAT, LARGEST_FLOAT, compressed=False),
    # Any 64-bit integer is plausible, for example a time in nanoseconds; no embedding component reaches a million.
    2: NumberRange(1e20, 1e6, compressed=True),
}
"""By version of the encoding."""


def compress(values: NDArray[Any]) -> NDArray[Any]:
    """x itself where |x| ≤ L = 10, else sign(x) · L · (1 + ln(|x| / L)).

    It is continuous and increasing; 1e6 gives about 125, 1e20 about 447.
    """
    size = np.abs(values)
    beyond = size > LINEAR_TO
    if not beyond.any():
        return values
    logarithms = LINEAR_TO * (1.0 + np.log(np.maximum(size, LINEAR_TO) / LINEAR_TO))
    return np.where(beyond, np.copysign(logarithms, values), values)
