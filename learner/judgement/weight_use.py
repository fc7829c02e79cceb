"""How a policy uses the range of each weight: mean, ends of the range, and whether the range should be wider."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace

CROWDED = 2.0
"""Times the share that a uniform choice among a weight's values has: an end that gets more is worth extending."""
IDLE = 0.01
"""An end that fewer requests get is not needed."""


@dataclass(frozen=True, slots=True)
class WeightUse:
    """One weight under one policy: its mean, and the shares of requests that get its lowest and its highest value.

    `even` is the share that each value would get if all were chosen alike.
    """

    weight: str
    mean: float
    low: float
    high: float
    at_low: float
    at_high: float
    even: float

    @property
    def advice(self) -> str:
        """What the use of the range says about it."""
        wider = [
            f"{end} {value:g}"
            for end, value, share in (("below", self.low, self.at_low), ("above", self.high, self.at_high))
            if share > CROWDED * self.even
        ]
        if wider:
            return f"explore values {' and '.join(wider)}: the policy crowds at that end of the range"
        idle = [f"{value:g}" for value, share in ((self.low, self.at_low), (self.high, self.at_high)) if share < IDLE]
        if idle:
            return f"the policy hardly ever serves {' or '.join(idle)}: a narrower range would spend exploration better"
        return "the range holds what the policy serves"


def weight_use(shares: NDArray[np.float64], space: ActionSpace) -> tuple[WeightUse, ...]:
    """The use of each weight of a grid; `shares` float64[arms] are those of requests that get each arm.

    Nothing for a catalogue, whose arms have no weights.
    """
    found = []
    for place, name in enumerate(space.weight_names):
        column, low, high = space.weights[:, place], float(space.low[place]), float(space.high[place])
        grid = np.delete(column, space.production_arm)
        at_low, at_high = (float(shares[column == end].sum()) for end in (low, high))
        even = 1.0 / len(np.unique(grid))
        found.append(WeightUse(name, float(shares @ column), low, high, at_low, at_high, even))
    return tuple(found)
