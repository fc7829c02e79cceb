"""One replication: a learner trained on 14 explored days, and the explored hold-out of the 7 days after them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.learner_worlds import FILE, START, exact_values
from benchmarks.paper.paper_sizes import PaperSizes
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.units import DAY_MS
from feature_contract import FeatureContract, ModelInput
from learner.examples.learning_rows import COLUMNS, LearningRows
from learner.network.algorithm import Algorithm, make_algorithm
from off_policy.logged_bandit import LoggedBandit
from off_policy.target_policies import alpha_policies
from simulator.homefeed_world import RunPlan
from simulator.vector_run import VectorRun
from simulator.worlds import world

WORLD = "homefeed"
TRAIN_DAYS, DAYS = 14, 21
HELD_OUT_FROM = START + TRAIN_DAYS * DAY_MS
ALPHAS = np.linspace(0.0, 1.0, 25)
"""The paper's grid; α multiplies P2P."""
ONLINE_ALPHAS = ALPHAS[::3]
"""The nine that are run online, fixed before anything was drawn: 0, 1/8, …, 1."""
P2P = 1
SCORED = 50_000
"""Rows whose values are held at a time."""


@dataclass(frozen=True, eq=False)
class KnownRequests:
    """k requests with `arms` int[25, k], what each α serves them, and exact `values` [k, arms, objectives]."""

    cohort: NDArray[np.object_]
    arms: NDArray[np.int64]
    values: NDArray[np.float64]
    production: int

    def lifts(self, arms: NDArray[np.int64], rows: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """float[objectives]: the exact lift over production in percent if `arms` int[k] are served, in some rows.

        NaN without rows.
        """
        kept = np.flatnonzero(np.ones(len(arms), dtype=bool) if rows is None else rows)
        if not len(kept):
            return np.full(self.values.shape[-1], np.nan)
        served = self.values[kept, arms[kept]].mean(axis=0)
        lifts: NDArray[np.float64] = 100.0 * (served / self.values[kept, self.production].mean(axis=0) - 1.0)
        return lifts


@dataclass(frozen=True, eq=False)
class Replication:
    """The trained learner, the hold-out's log with `arms` int[25, n] that each α serves, and known requests of it."""

    seed: int
    sizes: PaperSizes
    experiment: Experiment
    algorithm: Algorithm
    training_rows: int
    log: LoggedBandit
    arms: NDArray[np.int64]
    known: KnownRequests

    @property
    def contract(self) -> FeatureContract:
        """The features of the experiment."""
        return FeatureContract.from_experiment(self.experiment)


@dataclass(frozen=True, eq=False)
class _HeldOut:
    inputs: ModelInput
    action: NDArray[np.int64]
    propensity: NDArray[np.float64]
    reward: NDArray[np.float64]
    observed: NDArray[np.bool_]
    cohort: NDArray[np.object_]
    user: NDArray[np.int64]


def replicated(seed: int, sizes: PaperSizes) -> Replication:
    """Draws the explored rows, trains on the first 14 days and scores the others."""
    experiment = experiment_of(sizes.learner, seed)
    contract = FeatureContract.from_experiment(experiment)
    plans = [_plan(seed, number, sizes) for number in range(sizes.plans)]
    early, held = list[pl.DataFrame](), list[_HeldOut]()
    for number, plan in enumerate(plans):
        frame = pl.concat(list(VectorRun(experiment, plan).frames())).select(COLUMNS)
        later = frame["request_event_time"].to_numpy() >= HELD_OUT_FROM
        held.append(_held_out(LearningRows.of(frame.filter(pl.Series(later)), experiment, contract), experiment))
        if number < sizes.training_plans:
            early.append(frame.filter(pl.Series(~later)))
    training = LearningRows.of(pl.concat(early), experiment, contract)
    algorithm = make_algorithm(experiment, contract)
    algorithm.fit(training, lambda _: None)
    arms = [alpha_arms(algorithm, part.inputs) for part in held]
    kept = np.sort(np.random.default_rng(seed).choice(held[0].inputs.rows, sizes.known, replace=False))
    known = KnownRequests(
        held[0].cohort[kept],
        arms[0][:, kept],
        exact_values(experiment, plans[0], HELD_OUT_FROM, kept),
        experiment.action_space.production_arm,
    )
    log, everyone = _log(held, experiment), np.concatenate(arms, axis=1)
    return Replication(seed, sizes, experiment, algorithm, training.count, log, everyone, known)


def experiment_of(learner: str, seed: int) -> Experiment:
    """The homefeed with every request explored; the seed draws a network's first weights."""
    experiment = load_experiment(FILE)
    spec = experiment.learner.model_copy(update={"algorithm": learner, "seed": seed})
    return experiment.model_copy(update={"learner": spec})


def alpha_arms(algorithm: Algorithm, inputs: ModelInput) -> NDArray[np.int64]:
    """int[25, n]: the arm that each of ALPHAS serves each request."""
    parts = []
    for start in range(0, inputs.rows, SCORED):
        q = algorithm.score(inputs.take(slice(start, start + SCORED))).astype(np.float64)
        parts.append(np.array([each.arms for each in alpha_policies(q, P2P, ALPHAS.tolist())]))
    return np.concatenate(parts, axis=1)


def user_numbers(names: pl.Series) -> NDArray[np.int64]:
    """int64[n] of ids such as `user-17`."""
    return names.str.strip_prefix("user-").cast(pl.Int64).to_numpy()


def _plan(seed: int, number: int, sizes: PaperSizes) -> RunPlan:
    end = START + DAYS * DAY_MS
    own = 2 * seed * sizes.most_plans + number
    return RunPlan(own, sizes.requests, START, end, users=sizes.users, world=world(WORLD))


def _held_out(rows: LearningRows, experiment: Experiment) -> _HeldOut:
    log = rows.logged_bandit(experiment)
    cohort, user = rows.frame["request_cohort"].to_numpy(), user_numbers(rows.frame["request_user_id"])
    return _HeldOut(rows.inputs, log.action, log.propensity, log.reward, log.observed, cohort, user)


def _log(parts: list[_HeldOut], experiment: Experiment) -> LoggedBandit:
    def joined(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name) for part in parts])

    units = np.unique(joined("user"), return_inverse=True)[1]
    arrays = {name: joined(name) for name in ("action", "propensity", "reward", "observed", "cohort")}
    return LoggedBandit(**arrays, objectives=experiment.objective_names, units=units)  # type: ignore[arg-type]
