"""Explored rows of the simulated homefeed, and later requests whose exact values are known, for studies of learners."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment, load_experiment
from event_schemas.units import DAY_MS
from feature_contract import FeatureContract
from learner.examples.learning_rows import COLUMNS, LearningRows
from simulator.homefeed_world import RunPlan, build_world
from simulator.vector_run import VectorRun, hours
from simulator.world_stage import WorldStage
from simulator.worlds import world
from simulator.worlds.engagements import attributions, inside_share
from simulator.worlds.named_worlds import NamedWorld

FILE = Path(__file__).with_name("learner_world.toml")
WORLD = "homefeed"
START = 1_763_942_400_000
DAYS = 14
FEWEST_USERS, ROWS_PER_USER = 2_000, 28


@dataclass(frozen=True, eq=False)
class LearnerLog:
    """`training` rows of 14 days, and `tested` requests of the day after with their `values` [n, arms, objectives]."""

    experiment: Experiment
    training: LearningRows
    tested: LearningRows
    values: NDArray[np.float64]

    @property
    def contract(self) -> FeatureContract:
        """The features of the experiment."""
        return FeatureContract.from_experiment(self.experiment)

    def regret(self, predicted: NDArray[np.float32], alpha: float) -> float:
        """The share of what the best arm of each request gains over production, at α, that a policy misses.

        The policy serves the arm that is best by `predicted` [n, arms, objectives]; α multiplies the second objective.
        0 is the best choice for each request, 1 is production, and more is worse than production.
        """
        weights = np.array([1.0 - alpha, alpha])
        utility, rows = self.values @ weights, np.arange(len(self.values))
        served = utility[rows, (predicted @ weights).argmax(axis=1)].mean()
        best, production = utility.max(axis=1).mean(), utility[:, self.experiment.action_space.production_arm].mean()
        return float((best - served) / (best - production))


def learner_log(seed: int, rows: int, tested: int, named: NamedWorld | None = None) -> LearnerLog:
    """About `rows` explored rows, each drawn by `seed`, of the world's users; `tested` requests, or fewer in a day.

    The world is WORLD unless another one is `named`.
    """
    experiment = load_experiment(FILE)
    per_day, end = rows // DAYS, START + DAYS * DAY_MS
    plan = RunPlan(
        seed,
        per_day * (DAYS + 1),
        START,
        end + DAY_MS,
        users=max(FEWEST_USERS, rows // ROWS_PER_USER),
        world=named or world(WORLD),
    )
    frame = pl.concat(list(VectorRun(experiment, plan).frames())).select(COLUMNS)
    times = frame["request_event_time"].to_numpy()
    later = np.flatnonzero(times >= end)
    kept = np.sort(np.random.default_rng(seed).choice(len(later), min(tested, len(later)), replace=False))
    contract = FeatureContract.from_experiment(experiment)
    return LearnerLog(
        experiment,
        LearningRows.of(frame[np.flatnonzero(times < end)], experiment, contract),
        LearningRows.of(frame[later[kept]], experiment, contract),
        exact_values(experiment, plan, end, kept),
    )


def exact_values(experiment: Experiment, plan: RunPlan, since_ms: int, kept: NDArray[np.int64]) -> NDArray[np.float64]:
    """E[reward | request, arm], [k, arms, objectives], of the `kept` ones of the plan's requests since a full hour."""
    stage, traffic = build_world(experiment, plan)
    assert isinstance(stage, WorldStage)
    space, inside = experiment.action_space, inside_share(attributions(experiment))
    found, passed = list[NDArray[np.float64]](), 0
    for part in hours(traffic):
        if int(part.time[0]) < since_ms:
            continue
        own = kept[(kept >= passed) & (kept < passed + len(part))] - passed
        found.append(stage.run.world.arm_values(stage.run.states(part.take(own)), space.weights, inside))
        passed += len(part)
    return np.concatenate(found)[..., : len(experiment.objective_names)]
