"""What stored rows earned, unpacked once from their lists of outcomes, for networks and estimators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment


@dataclass(frozen=True, eq=False)
class RowOutcomes:
    """The outcomes of n rows that count per request; the first `optimised` of `names` are the objectives.

    rewards   float64[n, K] >= 0 in the outcomes' own units, at most their clip; 0 where not observed
    observed  bool[n, K], False where the reward is unknown: not in the example, its feed was down, or no number >= 0
    clips     float64[K] > 0, the largest reward of each
    """

    names: tuple[str, ...]
    optimised: int
    rewards: NDArray[np.float64]
    observed: NDArray[np.bool_]
    clips: NDArray[np.float64]

    @classmethod
    def of(cls, frame: pl.DataFrame, experiment: Experiment) -> RowOutcomes:
        """Those of a frame with the columns of stored examples."""
        watched = [each for each in experiment.counted if each.role != "optimise" and each.per == "request"]
        counted = [*experiment.optimised, *watched]
        shape = (frame.height, len(counted))
        rewards, observed = np.zeros(shape), np.zeros(shape, dtype=bool)
        outcomes = frame.select("outcome_objectives").with_row_index("row").explode("outcome_objectives")
        outcomes = outcomes.drop_nulls("outcome_objectives").unnest("outcome_objectives")
        for column, each in enumerate(counted):
            of_each = outcomes.filter((pl.col("objective") == each.name) & pl.col("observed"))
            rows, values = of_each["row"].to_numpy(), of_each["reward"].to_numpy()
            sound = np.isfinite(values) & (values >= 0.0)  # a negative sum is no reward: it is left out, not made zero
            rewards[rows[sound], column] = np.minimum(values[sound], each.clip)
            observed[rows[sound], column] = True
        names = tuple(each.name for each in counted)
        clips = np.array([each.clip for each in counted], dtype=np.float64)
        return cls(names, len(experiment.optimised), rewards, observed, clips)

    def take(self, positions: NDArray[Any]) -> RowOutcomes:
        """The rows at `positions`, in that order."""
        rewards, observed = self.rewards[positions], self.observed[positions]
        return RowOutcomes(self.names, self.optimised, rewards, observed, self.clips)

    def named(self, names: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """(rewards, observed), both [n, len(names)], of the outcomes with these names."""
        columns = [self.names.index(name) for name in names]
        if columns == list(range(len(self.names))):
            return self.rewards, self.observed
        return self.rewards[:, columns], self.observed[:, columns]

    def in_clips(self) -> NDArray[np.float32]:
        """float32[n, optimised] in [0, 1]: the objectives' rewards in units of their clips."""
        columns = slice(0, self.optimised)
        return (self.rewards[:, columns] / self.clips[columns]).astype(np.float32)


def counted_outcomes(
    outcomes: pl.Series, names: Sequence[str]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """(counts before clipping, observed) of each outcome, by row; where it is not observed, the count is 0.

    It is not if its feed was down, if the example does not have it, or if the count is negative or not finite.
    """
    found = outcomes.alias("outcome").to_frame().with_row_index("row").explode("outcome").drop_nulls().unnest("outcome")
    sound = found.filter(pl.col("observed") & pl.col("count").is_finite() & (pl.col("count") >= 0.0))
    counted = {}
    for name in names:
        of_outcome = sound.filter(pl.col("objective") == name)
        places = of_outcome["row"].to_numpy()
        counts, observed = np.zeros(len(outcomes)), np.zeros(len(outcomes), dtype=np.bool_)
        counts[places], observed[places] = of_outcome["count"].to_numpy(), True
        counted[name] = counts, observed
    return counted
