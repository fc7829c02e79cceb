"""A small world whose users' taste may change from one week to the next, as arrays: for studies of warm starts.

E[r_o | user, arm] = sigmoid(−1.7 + u · W_o · f(arm)) for standard normal users u in R⁸ and f the arm's normalised
weights and their squares, centred. A taste is W; after a full shift it is drawn anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.learner_worlds import FILE
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.experiment_sections import FeatureSpec
from event_schemas.slices import exploration_distribution
from event_schemas.units import DAY_MS
from feature_contract import FeatureContract, ModelInput
from learner.examples.learning_rows import LearningRows
from learner.examples.row_outcomes import RowOutcomes
from learner.examples.row_settings import RowSettings

USER_DIM, BASE, STRENGTH = 8, -1.7, 0.5
TESTED = 2_000
WEEK_MS = 7 * DAY_MS


@dataclass(frozen=True)
class ShiftingWorld:
    """One seed's world: taste 0 before a shift, taste 1 after it; `rows` explored rows a week."""

    seed: int
    rows: int

    @cached_property
    def experiment(self) -> Experiment:
        """The experiment of the learners' study, with a user embedding as its only feature."""
        return load_experiment(FILE).model_copy(update={"features": FeatureSpec(user_embedding_dim=USER_DIM)})

    @cached_property
    def contract(self) -> FeatureContract:
        """The features of the experiment."""
        return FeatureContract.from_experiment(self.experiment)

    def rates(self, users: NDArray[np.float32], taste: int) -> NDArray[np.float64]:
        """E[reward] of every arm, [n, arms, objectives], for users [n, 8]."""
        objectives = len(self.experiment.objective_names)
        drawn = np.random.default_rng([self.seed, 1, taste]).normal(size=(objectives, USER_DIM, 4)) * STRENGTH
        features = self.experiment.action_space.features.astype(np.float64)
        shown = np.concatenate([features, features**2], axis=1) - 0.4
        rates: NDArray[np.float64] = 1 / (1 + np.exp(-BASE - np.einsum("nd,odk,ak->nao", users, drawn, shown)))
        return rates

    def week(self, number: int, taste: int) -> LearningRows:
        """The explored rows of a week."""
        rng = np.random.default_rng([self.seed, 2, number])
        space = self.experiment.action_space
        design = exploration_distribution(space, (), self.experiment.production_share)
        users = rng.normal(size=(self.rows, USER_DIM)).astype(np.float32)
        arms = rng.choice(space.arms, size=self.rows, p=design)
        chance = self.rates(users, taste)[np.arange(self.rows), arms]
        names = [f"{number}-{row}" for row in range(self.rows)]
        frame = pl.DataFrame(
            {"request_user_id": names, "request_request_id": names, "propensity_exploration": [None] * self.rows},
            schema_overrides={"propensity_exploration": pl.String},
        )
        return LearningRows(
            inputs=ModelInput({"user_embedding": users}, self.rows),
            arms=arms,
            propensities=design[arms],
            outcomes=_outcomes(self.experiment.objective_names, (rng.random(chance.shape) < chance).astype(np.float64)),
            event_times=np.sort(rng.integers(number * WEEK_MS, (number + 1) * WEEK_MS, size=self.rows)),
            frame=frame,
            settings=RowSettings.of(frame, self.experiment, {}),
        )

    @cached_property
    def tested(self) -> ModelInput:
        """Users to choose for."""
        users = np.random.default_rng([self.seed, 3]).normal(size=(TESTED, USER_DIM)).astype(np.float32)
        return ModelInput({"user_embedding": users}, TESTED)

    def regret(self, predicted: NDArray[np.float32], taste: int) -> float:
        """The share of the best choice's gain over production that a policy misses, both objectives counting alike."""
        utility = self.rates(self.tested["user_embedding"], taste).mean(axis=2)
        served = utility[np.arange(TESTED), predicted.mean(axis=2).argmax(axis=1)].mean()
        best, production = utility.max(axis=1).mean(), utility[:, self.experiment.action_space.production_arm].mean()
        return float((best - served) / (best - production))


def joined(first: LearningRows, second: LearningRows) -> LearningRows:
    """The rows of both, which name the same exploration settings."""
    frame = pl.concat([first.frame, second.frame])
    inputs = {name: np.concatenate([array, second.inputs[name]]) for name, array in first.inputs.items()}
    groups = RowSettings(
        first.settings.settings,
        np.concatenate([first.settings.group, second.settings.group]),
        np.concatenate([first.settings.recomputed, second.settings.recomputed]),
        np.concatenate([first.settings.lost, second.settings.lost]),
        {},
    )
    return LearningRows(
        inputs=ModelInput(inputs, len(frame)),
        arms=np.concatenate([first.arms, second.arms]),
        propensities=np.concatenate([first.propensities, second.propensities]),
        outcomes=_outcomes(first.outcomes.names, np.concatenate([first.outcomes.rewards, second.outcomes.rewards])),
        event_times=np.concatenate([first.event_times, second.event_times]),
        frame=frame,
        settings=groups,
    )


def _outcomes(names: tuple[str, ...], rewards: NDArray[np.float64]) -> RowOutcomes:
    """Rewards float64[n, objectives], all of them observed."""
    return RowOutcomes(names, len(names), rewards, np.ones(rewards.shape, dtype=bool), np.ones(len(names)))
