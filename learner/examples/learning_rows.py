"""Rows to learn from: stored examples as the arrays that network and estimators read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.records import RequestRecord
from feature_contract import FeatureContract, MissingFeatures, ModelInput
from off_policy.logged_bandit import LoggedBandit

FEATURE_COLUMNS = ("request_event_time", "request_user_embedding", "request_context", "request_history")
COLUMNS = (
    "request_request_id",
    "request_user_id",
    "request_cohort",
    *FEATURE_COLUMNS,
    "action_slice",
    "action_arm",
    "action_eligible",
    "action_action_space",
    "propensity_propensity",
    "propensity_probabilities",
    "ranking",
    "outcome_objectives",
    "outcome_closed_early",
)
"""The columns of a stored example that the learner reads."""


@dataclass(frozen=True, eq=False)
class LearningRows:
    """n rows: features, chosen arms and outcomes, all in the same order.

    rewards float32[n, objectives] in [0, 1], in units of each objective's clip; observed bool[n, objectives], False if
    the reward is unknown (it is 0 then and must not be used); arms int64[n]; propensities float64[n]; event_times
    int64[n] ms. `frame` has the same rows as columns (see COLUMNS).
    """

    inputs: ModelInput
    arms: NDArray[np.int64]
    propensities: NDArray[np.float64]
    rewards: NDArray[np.float32]
    observed: NDArray[np.bool_]
    event_times: NDArray[np.int64]
    frame: pl.DataFrame

    @property
    def count(self) -> int:
        """The number of rows, n."""
        return len(self.arms)

    @classmethod
    def of(cls, frame: pl.DataFrame, experiment: Experiment, contract: FeatureContract) -> Self:
        """The arrays of `frame`; raises MissingFeatures if a row cannot be encoded (see `feature_faults`)."""
        rewards, observed = _outcomes(frame, experiment)
        return cls(
            inputs=contract.encode(request_records(frame)),
            arms=np.array(frame["action_arm"], dtype=np.int64),
            propensities=np.array(frame["propensity_propensity"], dtype=np.float64),
            rewards=rewards,
            observed=observed,
            event_times=np.array(frame["request_event_time"], dtype=np.int64),
            frame=frame,
        )

    def take(self, index: NDArray[Any]) -> "LearningRows":
        """The rows at `index` (positions or a mask), in that order."""
        positions = np.arange(self.count)[index]
        return LearningRows(
            inputs=self.inputs.take(positions),
            arms=self.arms[positions],
            propensities=self.propensities[positions],
            rewards=self.rewards[positions],
            observed=self.observed[positions],
            event_times=self.event_times[positions],
            frame=self.frame[positions],
        )

    def mean_rewards(self) -> NDArray[np.float64]:
        """float64[objectives]: mean over observed rows, 0 if an objective was never observed."""
        counts = np.maximum(self.observed.sum(axis=0), 1)
        means: NDArray[np.float64] = (self.rewards * self.observed).sum(axis=0, dtype=np.float64) / counts
        return means

    def logged_bandit(self, objectives: Sequence[str]) -> LoggedBandit:
        """The rows in the form that estimators read."""
        return LoggedBandit(
            action=self.arms,
            propensity=self.propensities,
            reward=self.rewards.astype(np.float64),
            observed=self.observed,
            objectives=tuple(objectives),
            cohort=np.asarray(self.frame["request_cohort"].to_list(), dtype=object),
        )

    def eligible(self, arms: int) -> NDArray[np.bool_] | None:
        """bool[n, arms], or None if every arm was eligible in every row."""
        listed = self.frame["action_eligible"].to_list()
        if not any(listed):
            return None
        mask = np.zeros((self.count, arms), dtype=bool)
        for row, names in enumerate(listed):
            mask[row, names if names else slice(None)] = True
        return mask

    def context(self, name: str) -> list[str | None]:
        """The value of context feature `name` in each row, None if it is absent."""
        return [
            next((feature["value"] for feature in features if feature["name"] == name), None)
            for features in self.frame["request_context"].to_list()
        ]


def request_records(frame: pl.DataFrame) -> list[RequestRecord]:
    """Request records with only the fields that features use."""
    names = {column: column.removeprefix("request_") for column in FEATURE_COLUMNS}
    records: list[Any] = frame.select(FEATURE_COLUMNS).rename(names).to_dicts()
    return records


def feature_faults(frame: pl.DataFrame, contract: FeatureContract) -> dict[int, MissingFeatures]:
    """The errors of the rows that cannot be encoded, by row number."""
    return contract.faults(request_records(frame)) if frame.height else {}


def _outcomes(frame: pl.DataFrame, experiment: Experiment) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(rewards, observed), both [n, objectives]; an objective that is not in an example counts as unobserved."""
    shape = (frame.height, len(experiment.objectives))
    rewards, observed = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=bool)
    outcomes = frame.select("outcome_objectives").with_row_index("row").explode("outcome_objectives")
    outcomes = outcomes.drop_nulls("outcome_objectives").unnest("outcome_objectives")
    for column, objective in enumerate(experiment.objectives):
        of_objective = outcomes.filter((pl.col("objective") == objective.name) & pl.col("observed"))
        rows = of_objective["row"].to_numpy()
        values = np.clip(of_objective["reward"].to_numpy() / objective.clip, 0.0, 1.0)
        sound = np.isfinite(values)
        rewards[rows[sound], column] = values[sound]
        observed[rows[sound], column] = True
    return rewards, observed
