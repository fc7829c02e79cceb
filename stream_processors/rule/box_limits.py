"""The values that records of a box may carry: vectors inside the bounds, and the densities that belong to them.

In a box, arm 0 is the vector in `Action.weights` and arm 1 is production. Only a vector has a density.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import OVERSHOOT, VECTOR, ActionSpace
from event_schemas.slices import Slice


class BoxLimits:
    """The bounds of a box's vectors."""

    def __init__(self, space: ActionSpace) -> None:
        slack = OVERSHOOT * (space.high - space.low)
        self._names = space.weight_names
        self._low, self._high = space.low, space.high
        self._least, self._most = space.low - slack, space.high + slack

    def inside(self, vectors: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows of [rows, weights] are inside the bounds; NaN is not."""
        within = (vectors >= self._least) & (vectors <= self._most)
        return np.asarray(within.all(axis=1))

    def vector_faults(self, field: str, vector: Sequence[float]) -> Iterator[str]:
        """What is wrong with a vector in this field; it must have a value for each weight, inside the bounds."""
        if len(vector) != len(self._names):
            yield f"{field} has {len(vector)} values, but the experiment tunes {len(self._names)} weights"
            return
        sides = zip(self._names, vector, self._low, self._high, self._least, self._most, strict=True)
        for name, weight, low, high, least, most in sides:
            if not least <= weight <= most:
                yield f"{field}: {name} = {weight!r} is outside its bounds, {low:g} to {high:g}"


def density_contradiction(action: Mapping[str, Any], propensity: Mapping[str, Any]) -> str | None:
    """Why the density of a Propensity cannot belong to an Action of the same decision in a box; None when it can."""
    density, arm = propensity["log_density"], action["arm"]
    if density is not None and arm != VECTOR:
        return f"log_density = {density!r} is that of a vector, but its decision's arm = {arm} is production"
    if density is None and arm == VECTOR and action["slice"] == Slice.EXPLORE:
        return "log_density is null, but its decision explored a vector: no estimate can use it without the density"
    return None
