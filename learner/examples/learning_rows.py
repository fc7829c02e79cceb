"""Rows to learn from: stored examples as the arrays that network and estimators read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import ObjectiveSpec
from event_schemas.exploration import ExplorationSettings
from event_schemas.exploration_units import unit_of
from event_schemas.records import RequestRecord
from event_schemas.user_ids import person, present
from feature_contract import FeatureContract, MissingFeatures, ModelInput
from learner.examples.eligible_lists import EligibleLists
from learner.examples.frame_rows import GATHERED_ROWS, neighbours, rows_at
from learner.examples.previous_fill import PREVIOUS
from learner.examples.request_columns import request_columns
from learner.examples.row_outcomes import RowOutcomes
from learner.examples.row_settings import RowSettings
from off_policy.logged_bandit import LoggedBandit

UNDECLARED = "(undeclared)"
"""All cohorts that the experiment does not declare, together; no declared one can have this name."""
FEATURE_COLUMNS = ("request_event_time", "request_user_embedding", "request_context", "request_history")
ENCODED_COLUMNS = ("request_user_embedding", "request_context", "request_history", PREVIOUS)
"""The columns of features that nothing but their encoding reads of rows that are only trained on."""
COLUMNS = (
    "request_request_id",
    "request_user_id",
    "request_cohort",
    *FEATURE_COLUMNS,
    PREVIOUS,
    "action_slice",
    "action_arm",
    "action_eligible",
    "action_weights",
    "action_action_space",
    "propensity_propensity",
    "propensity_slice_probability",
    "propensity_sampling_rate",
    "propensity_probabilities",
    "propensity_log_density",
    "propensity_exploration",
    "ranking",
    "outcome_objectives",
    "outcome_closed_early",
    "outcome_partition",
)
"""The columns of a stored example that the learner reads."""


@dataclass(frozen=True, eq=False)
class LearningRows:
    """n rows: features, chosen arms and outcomes, all in the same order.

    arms int64[n]; propensities float64[n]; event_times int64[n] ms. `frame` has the same rows as columns (see COLUMNS).
    `explorations` are the exploration settings that are kept on this machine, by digest, and `settings` those
    of each row.
    """

    inputs: ModelInput
    arms: NDArray[np.int64]
    propensities: NDArray[np.float64]
    outcomes: RowOutcomes
    event_times: NDArray[np.int64]
    frame: pl.DataFrame
    settings: RowSettings
    explorations: Mapping[str, ExplorationSettings] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of rows, n."""
        return len(self.arms)

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        experiment: Experiment,
        contract: FeatureContract,
        explorations: Mapping[str, ExplorationSettings] | None = None,
    ) -> Self:
        """The arrays of `frame`; raises MissingFeatures if a row cannot be encoded (see `encodable`)."""
        return cls._of(frame, encoded_requests(frame, contract), experiment, explorations)

    @classmethod
    def encodable(
        cls,
        frame: pl.DataFrame,
        experiment: Experiment,
        contract: FeatureContract,
        explorations: Mapping[str, ExplorationSettings] | None = None,
    ) -> tuple[Self, dict[int, MissingFeatures]]:
        """The arrays of the rows that can be encoded, and the errors of the others, by their number in `frame`."""
        inputs, refused = _encoded(frame, contract)
        if not refused.any():
            return cls._of(frame, inputs, experiment, explorations), {}
        places = np.flatnonzero(refused)
        faults = contract.faults(request_records(frame[places], contract))
        rows = cls._of(frame.filter(pl.Series(~refused)), inputs.take(~refused), experiment, explorations)
        return rows, {int(places[place]): fault for place, fault in faults.items()}

    @classmethod
    def _of(
        cls,
        frame: pl.DataFrame,
        inputs: ModelInput,
        experiment: Experiment,
        explorations: Mapping[str, ExplorationSettings] | None,
    ) -> Self:
        kept = {} if explorations is None else explorations
        return cls(
            inputs=inputs,
            arms=np.array(frame["action_arm"], dtype=np.int64),
            propensities=np.array(frame["propensity_propensity"], dtype=np.float64),
            outcomes=RowOutcomes.of(frame, experiment),
            event_times=np.array(frame["request_event_time"], dtype=np.int64),
            frame=frame,
            settings=RowSettings.of(frame, experiment, kept),
            explorations=kept,
        )

    def take(self, index: NDArray[Any]) -> "LearningRows":
        """The rows at `index` (positions or a mask), in that order."""
        positions = np.arange(self.count)[index]
        chosen: Any = positions if (run := neighbours(positions)) is None else run  # a run shares the memory
        return LearningRows(
            inputs=ModelInput({name: array[chosen] for name, array in self.inputs.items()}, len(positions)),
            arms=self.arms[chosen],
            propensities=self.propensities[chosen],
            outcomes=self.outcomes.take(positions),
            event_times=self.event_times[chosen],
            frame=rows_at(self.frame, positions),
            settings=self.settings.take(positions),
            explorations=self.explorations,
        )

    @cached_property
    def rewards(self) -> NDArray[np.float32]:
        """float32[n, objectives] in [0, 1], in units of each objective's clip, for networks.

        Estimators read them in own units (`logged_bandit`).
        """
        return self.outcomes.in_clips()

    @property
    def observed(self) -> NDArray[np.bool_]:
        """bool[n, objectives]: False if the reward is unknown; it is 0 then and must not be used."""
        return self.outcomes.observed[:, : self.outcomes.optimised]

    def encoded_only(self) -> Self:
        """The same rows without the columns of their features, which are in `inputs`: they cannot be encoded anew."""
        return replace(self, frame=self.frame.drop(ENCODED_COLUMNS, strict=False))

    def mean_rewards(self) -> NDArray[np.float64]:
        """float64[objectives]: mean of `rewards` over observed rows, 0 if an objective was never observed."""
        counts = np.maximum(self.observed.sum(axis=0), 1)
        means: NDArray[np.float64] = (self.rewards * self.observed).sum(axis=0, dtype=np.float64) / counts
        return means

    def logged_bandit(self, experiment: Experiment) -> LoggedBandit:
        """The rows in the form that estimators read, with the rewards that are optimised, in the objectives' own units.

        Cohorts that the experiment does not declare are one.
        """
        return self._bandit(experiment, experiment.objective_names)

    def watched_bandit(self, experiment: Experiment) -> LoggedBandit | None:
        """The same with the outcomes that are only watched: signals and guardrails; None if there are none.

        Those per session or user-day are left out (`Experiment.judged_online`).
        """
        watched = self.outcomes.names[self.outcomes.optimised :]
        return self._bandit(experiment, watched) if watched else None

    def _bandit(self, experiment: Experiment, names: tuple[str, ...]) -> LoggedBandit:
        rewards, observed = self.outcomes.named(names)
        declared = {cohort.name for cohort in experiment.cohorts}
        given = [present(name) for name in self.frame["request_cohort"].to_list()]
        cohorts = [name if name is None or name in declared else UNDECLARED for name in given]
        return LoggedBandit(
            action=self.arms,
            propensity=self.propensities,
            reward=rewards,
            observed=observed,
            objectives=names,
            cohort=np.asarray(cohorts, dtype=object),
            units=self.units,
        )

    @cached_property
    def unit_names(self) -> list[str]:
        """The user of each row, or if that names nobody, its exploration unit."""
        ids = zip(self.frame["request_user_id"].to_list(), self.frame["request_request_id"].to_list(), strict=True)
        unit = [each.unit for each in self.settings.settings]
        groups = self.settings.group.tolist()
        return [
            person(user) or unit_of(request_id, unit[group])
            for (user, request_id), group in zip(ids, groups, strict=True)
        ]

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """int64[n] from 0: rows of one user have one number, and so have rows of one exploration unit without a user.

        Intervals are computed by these numbers, because the rewards of one person are alike. The user is the coarser of
        the two where there is one: a person has many sessions.
        """
        users = self.frame["request_user_id"].to_list()
        names = [(person(user) is None, name) for user, name in zip(users, self.unit_names, strict=True)]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return np.array([numbers[name] for name in names], dtype=np.int64)

    @cached_property
    def eligible_lists(self) -> EligibleLists:
        """The arms that each row's request allowed."""
        return EligibleLists.of(self.frame["action_eligible"])

    def eligible(self, arms: int, part: slice = slice(None)) -> NDArray[np.bool_] | None:
        """bool[k, arms]: which arms the rows of `part` allowed; None if every arm was eligible in every row.

        The mask has a cell for every row and arm, so ask for a block of rows at a time.
        """
        lists = self.eligible_lists
        if lists.all_allowed:
            return None
        groups, index = np.unique(lists.group[part], return_inverse=True)
        mask: NDArray[np.bool_] = lists.masks(groups, arms)[index.reshape(-1)]
        return mask

    def context(self, name: str) -> list[str | None]:
        """The value of context feature `name` in each row, None if it is absent."""
        return [
            next((feature["value"] for feature in features if feature["name"] == name), None)
            for features in self.frame["request_context"].to_list()
        ]


def request_records(frame: pl.DataFrame, contract: FeatureContract) -> list[RequestRecord]:
    """Request records with only the fields that the contract uses."""
    columns = FEATURE_COLUMNS if contract.previous is None else (*FEATURE_COLUMNS, PREVIOUS)
    names = {column: column.removeprefix("request_") for column in columns}
    records: list[Any] = frame.select(columns).rename(names).to_dicts()
    return records


def encoded_requests(frame: pl.DataFrame, contract: FeatureContract) -> ModelInput:
    """The features of the frame's requests; raises MissingFeatures if one of them cannot be encoded."""
    inputs, refused = _encoded(frame, contract)
    if refused.any():
        contract.encode(request_records(frame.filter(pl.Series(refused)), contract))  # raises what is wrong
    return inputs


def _encoded(frame: pl.DataFrame, contract: FeatureContract) -> tuple[ModelInput, NDArray[np.bool_]]:
    """The features of the frame's requests, and bool[n]: which rows cannot be encoded, and have no meaning.

    They are encoded a block of rows at a time: on the way they take several times the memory of the arrays.
    """
    if frame.height <= GATHERED_ROWS:
        return contract.encode_columns(request_columns(frame))
    arrays: dict[str, NDArray[Any]] = {}
    refused = np.zeros(frame.height, dtype=bool)
    for start in range(0, frame.height, GATHERED_ROWS):
        part = slice(start, min(start + GATHERED_ROWS, frame.height))
        inputs, refused[part] = contract.encode_columns(request_columns(frame[part]))
        for name, array in inputs.items():
            arrays.setdefault(name, np.empty((frame.height, *array.shape[1:]), dtype=array.dtype))[part] = array
    return ModelInput(arrays, frame.height), refused


def clips(objectives: Sequence[ObjectiveSpec]) -> NDArray[np.float64]:
    """float64[objectives]: the largest reward of each. Networks predict in units of it."""
    return np.array([objective.clip for objective in objectives], dtype=np.float64)
