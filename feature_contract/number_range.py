"""The numbers of a request as a network can bear them: within bounds, and beyond ±10 by their logarithm.

One absurd value (1e30 in a field that counts hours) would otherwise be the mean and the variance of everything that is
normalised together with it. The bounds refuse what cannot be meant; inside them a large value may still come to be
large, but only as its logarithm does. Ordinary values, up to 10, stay what they are.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.number_bounds import LARGEST_FLOAT

LINEAR_TO = 10.0


@dataclass(frozen=True, slots=True)
class NumberRange:
    """What one version of the encoding does to numbers.

    largest_number     bound on the absolute value of a context number
    largest_component  bound on the absolute value of each component of an embedding
    compressed         whether values beyond ±LINEAR_TO enter by their logarithm
    """

    largest_number: float
    largest_component: float
    compressed: bool

    def encoded(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Values that are within the bounds, as the network reads them."""
        return (compress(values) if self.compressed else values).astype(np.float32, copy=False)


NUMBER_RANGES = {
    1: NumberRange(LARGEST_FLOAT, LARGEST_FLOAT, compressed=False),
    # Any 64-bit integer may be meant, a time in nanoseconds among them; no embedding reaches a million.
    2: NumberRange(1e20, 1e6, compressed=True),
}
"""By version of the encoding."""


def compress(values: NDArray[Any]) -> NDArray[Any]:
    """x itself where |x| ≤ L = 10, else sign(x) · L · (1 + ln(|x| / L)).

    It is continuous and rising; 1e6 gives about 125, 1e20 about 447.
    """
    size = np.abs(values)
    beyond = size > LINEAR_TO
    if not beyond.any():
        return values
    logarithms = LINEAR_TO * (1.0 + np.log(np.maximum(size, LINEAR_TO) / LINEAR_TO))
    return np.where(beyond, np.copysign(logarithms, values), values)
