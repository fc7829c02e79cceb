"""The vectors of a box as columns: what was served, with what density, and what explored them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.action_space import OVERSHOOT, ActionSpace
from event_schemas.exploration import ExplorationSettings
from off_policy.box_policies import NormalVectors, UniformVectors
from off_policy.truncated_normals import TruncatedNormals


@dataclass(frozen=True, eq=False)
class BoxColumns:
    """n decisions of a box.

    vector       bool[n]: arm 0 was served, and not production
    normalised   float64[n, W]: the served weights, (w − low)/(high − low); NaN in a row that has not W of them
    log_density  float64[n]: ln of the density given arm 0; NaN where none is logged
    """

    space: ActionSpace
    vector: NDArray[np.bool_]
    normalised: NDArray[np.float64]
    log_density: NDArray[np.float64]

    @classmethod
    def of(cls, frame: pl.DataFrame, space: ActionSpace) -> Self:
        """From the columns of stored examples. A rounded weight outside its bounds is taken to the bound."""
        width = len(space.weight_names)
        listed = frame["action_weights"]
        whole = (listed.list.len().fill_null(0) == width).to_numpy()
        weights = np.full((frame.height, width), np.nan)
        weights[whole] = listed.filter(pl.Series(whole)).explode().cast(pl.Float64).to_numpy().reshape(-1, width)
        normalised = space.normalised(weights)
        near = np.abs(normalised - np.clip(normalised, 0.0, 1.0)) <= OVERSHOOT
        normalised = np.where(near, np.clip(normalised, 0.0, 1.0), normalised)
        vector = (frame["action_arm"] != space.production_arm).to_numpy()
        density = frame["propensity_log_density"].cast(pl.Float64).fill_null(np.nan).to_numpy()
        return cls(space, vector, normalised, density)

    def exploring(self, settings: ExplorationSettings) -> UniformVectors | NormalVectors:
        """What the rows with a vector were explored with under these settings."""
        rows = int(self.vector.sum())
        if settings.kind == "uniform":
            return UniformVectors()
        mean, sd = self._normal(settings)
        return NormalVectors(np.tile(mean, (rows, 1)), np.tile(sd, (rows, 1)))

    def cdfs(self, settings: ExplorationSettings) -> NDArray[np.float64]:
        """float64[vectors, W]: P(drawn ≤ weight) of every served vector: uniform if it was drawn like that."""
        served = self.normalised[self.vector]
        if settings.kind == "uniform":
            return served
        return TruncatedNormals(*self._normal(settings)).cumulative(served)

    def _normal(self, settings: ExplorationSettings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        sd: NDArray[np.float64] = np.array(settings.sd) / (self.space.high - self.space.low)
        return self.space.normalised(self.space.weights[self.space.production_arm]), sd
