"""Which exploration settings each row was drawn with: the row names them by digest, so every reader uses its own.

Rows without a digest (of older records, or of another system's log) are read with the experiment file's settings. Rows
whose settings nobody kept were drawn in a way that is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.exploration import ExplorationSettings

DIGEST = "propensity_exploration"


@dataclass(frozen=True, eq=False)
class RowSettings:
    """Row i was drawn with `settings[group[i]]`, for group int64[n].

    recomputed  bool[n]: the row names these settings, so its draw can be recomputed
    unknown     digest -> rows that name it, where nobody kept its settings; they have the experiment file's here
    lost        bool[n]: these rows
    """

    settings: tuple[ExplorationSettings, ...]
    group: NDArray[np.int64]
    recomputed: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    unknown: Mapping[str, int]

    @classmethod
    def of(cls, frame: pl.DataFrame, experiment: Experiment, kept: Mapping[str, ExplorationSettings]) -> Self:
        """The settings of the rows of `frame` among those that are kept; the experiment file's own are always known."""
        file = experiment.exploration
        known = {**kept, file.digest: file}
        digests = frame[DIGEST]
        counts = digests.drop_nulls().value_counts()
        named = dict(zip(counts[DIGEST].to_list(), counts["count"].to_list(), strict=True))
        settings = (file, *(known[digest] for digest in sorted(named) if digest in known and digest != file.digest))
        place = {each.digest: index for index, each in enumerate(settings)}
        group = digests.replace_strict(place, default=0, return_dtype=pl.Int64).to_numpy()
        given = digests.is_not_null().to_numpy()
        found = digests.is_in(list(place)).fill_null(False).to_numpy()
        unknown = {digest: count for digest, count in sorted(named.items()) if digest not in place}
        return cls(settings, group.astype(np.int64), found, given & ~found, unknown)

    def take(self, positions: NDArray[np.int64]) -> "RowSettings":
        """Those of the rows at `positions`."""
        return replace(
            self, group=self.group[positions], recomputed=self.recomputed[positions], lost=self.lost[positions]
        )

    @property
    def production_shares(self) -> NDArray[np.float64]:
        """float64[n]: P(production | EXPLORE) of each row, if production was eligible."""
        shares: NDArray[np.float64] = np.array([each.production_share for each in self.settings])[self.group]
        return shares
