"""An online experiment: users are split by the experiment's own coin, and each arm's users are served by its policy.

The learnt graph decides through the vectorised agent, which decides as the real one does, field by field (decision 31).
Production is the control. The users are others than those of the explored rows: intents of a user's days follow from
the world's seed, and a learner shall not have seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.learner_worlds import START
from benchmarks.paper.replication import (
    DAYS,
    ONLINE_ALPHAS,
    WORLD,
    KnownRequests,
    Replication,
    alpha_arms,
    user_numbers,
)
from event_schemas.experiment import Experiment
from event_schemas.experiment_coins import arm_index
from event_schemas.units import DAY_MS
from learner.examples.learning_rows import COLUMNS, encoded_requests
from learner.examples.row_outcomes import RowOutcomes
from off_policy.arm_comparison import ArmDesign, ArmSums, compare_arms
from off_policy.arm_results import ArmOutcome, OutcomeLabel
from off_policy.user_sums import ArmUsers, CountedRows, UserSums
from policy_store.records import ObjectiveWeights
from serving_agent.decide import ServingSnapshot
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_networks import ValueNetwork
from simulator.homefeed_world import RunPlan, build_world
from simulator.traffic import TrafficPlan
from simulator.vector_agent import UserArms
from simulator.vector_run import VectorRun
from simulator.world_stage import WorldStage
from simulator.worlds import world
from simulator.worlds.engagements import attributions, inside_share

ID, PRODUCTION, BY_COHORT = "paper", "production", "by cohort"
ONLINE_DAYS = 7
ONLINE_START = START + DAYS * DAY_MS


@dataclass(frozen=True, eq=False)
class OnlineLog:
    """n requests: the index of their arm in `names`, user, cohort, `reward` [n, objectives], and the exact values of
    what each was `served` and of production for the same request, [n, objectives]."""

    names: tuple[str, ...]
    arm: NDArray[np.int64]
    user: NDArray[np.int64]
    cohort: NDArray[np.object_]
    reward: NDArray[np.float64]
    served: NDArray[np.float64]
    base: NDArray[np.float64]

    def rows(self, cohort: str | None = None) -> NDArray[np.bool_]:
        """bool[n]: the requests of a cohort, or all."""
        every: NDArray[np.bool_] = np.ones(len(self.arm), dtype=bool) if cohort is None else self.cohort == cohort
        return every

    def true_lifts(self, name: str, cohort: str | None = None) -> NDArray[np.float64]:
        """float[objectives]: the exact lift over production in percent on the arm's own requests; NaN without any."""
        kept = self.rows(cohort) & (self.arm == self.names.index(name))
        if not kept.any():
            return np.full(self.base.shape[1], np.nan)
        lifts: NDArray[np.float64] = 100.0 * (self.served[kept].mean(axis=0) / self.base[kept].mean(axis=0) - 1.0)
        return lifts

    def outcomes(self, objectives: tuple[str, ...], cohort: str | None = None) -> dict[str, dict[str, ArmOutcome]]:
        """What was observed of each arm and objective against production, with errors by user."""
        kept = self.rows(cohort)
        arm, reward = self.arm[kept], self.reward[kept]
        numbers, user = np.unique(self.user[kept], return_inverse=True)
        weight, seen = np.ones(len(arm)), np.ones(len(arm), dtype=bool)
        sums = [
            ArmSums(
                OutcomeLabel(name, "objective", "request", 1.0),
                UserSums.of(CountedRows(user, weight, reward[:, place], seen), 1.0, len(numbers)),
            )
            for place, name in enumerate(objectives)
        ]
        design = ArmDesign(dict.fromkeys(self.names, 1.0), PRODUCTION)
        found = compare_arms(design, ArmUsers.of(arm, user, weight, len(numbers)), sums)
        return {name: dict(result.outcomes) for name, result in found.arms.items()}


@dataclass(frozen=True, eq=False)
class ServedTraffic:
    """The examples of a run with arms, and the world and the requests that they are of, in the same order."""

    frame: pl.DataFrame
    stage: WorldStage
    plan: TrafficPlan
    arms: UserArms


def alpha_name(alpha: float) -> str:
    """The arm of an α."""
    return f"alpha={alpha:g}"


def served_online(replication: Replication, by_cohort: Mapping[str, float]) -> tuple[OnlineLog, KnownRequests]:
    """Runs production, each of ONLINE_ALPHAS and an α for each cohort; also gives known requests of production's users.

    `by_cohort` has the α of each cohort.
    """
    preferences = preferences_of(by_cohort)
    experiment, sizes = unexplored(replication.experiment), replication.sizes
    arm = np.full(2 * sizes.users, -1)
    arm[sizes.users :] = arms_of_users(
        experiment, f"{ID}-{replication.seed}", np.arange(sizes.users, 2 * sizes.users), len(preferences)
    )
    arms = UserArms(tuple(preferences.values()), arm)
    snapshot = ServingSnapshot(arms.preferences[0], _loaded(replication))
    logs, known = list[OnlineLog](), list[KnownRequests]()
    for number in range(sizes.online_plans):
        plan = _plan(replication, number)
        frame = pl.concat(list(VectorRun(experiment, plan, snapshot, arms).frames())).select(COLUMNS)
        stage, traffic = build_world(experiment, plan)
        assert isinstance(stage, WorldStage)
        served = ServedTraffic(frame, stage, traffic.take(arms.requests_of(traffic.user)), arms)
        logs.append(_log(experiment, served, tuple(preferences)))
        if not known:
            known.append(_known(replication, served))
    return _joined(logs), known[0]


def preferences_of(by_cohort: Mapping[str, float]) -> dict[str, ObjectiveWeights]:
    """What each arm serves by: production has no preference, so that all its requests fall back to production."""
    alphas = {alpha_name(alpha): ObjectiveWeights(0, _weights(alpha)) for alpha in ONLINE_ALPHAS.tolist()}
    cohorts = {name: _weights(alpha) for name, alpha in by_cohort.items()}
    own = ObjectiveWeights(0, _weights(0.5), cohorts)
    return {PRODUCTION: ObjectiveWeights(0, None), **alphas, BY_COHORT: own}


def arms_of_users(experiment: Experiment, name: str, users: NDArray[np.int64], arms: int) -> NDArray[np.int64]:
    """int[k]: the arm of each user by the coin of the online experiment `name` with equal shares.

    Each seed has an experiment of its own: with one for all, the chance of its split would be in every seed alike.
    """
    shares = [1.0 / arms] * arms
    salt = experiment.exploration.salt
    return np.array([arm_index(salt, name, f"user-{user}", shares) for user in users.tolist()])


def unexplored(experiment: Experiment) -> Experiment:
    """The experiment with every request served by policy."""
    rates = experiment.experiment.model_copy(update={"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 1.0})
    return experiment.model_copy(update={"experiment": rates})


def _weights(alpha: float) -> tuple[float, float]:
    return (1.0 - alpha, alpha)


def _loaded(replication: Replication) -> LoadedPolicy:
    """The exported graph, as a serving node loads it."""
    experiment = replication.experiment
    plan = RunPlan(1, 64, START, START + DAY_MS, users=64, world=world(WORLD))
    sample = encoded_requests(pl.concat(list(VectorRun(experiment, plan).frames())), replication.contract)
    graph = replication.algorithm.export(sample)
    shape = {"arms": experiment.action_space.arms, "objectives": len(experiment.objective_names)}
    return LoadedPolicy("20240101T000000Z-0000abcd", 0, ValueNetwork(graph, **shape), replication.contract)


def _plan(replication: Replication, number: int) -> RunPlan:
    """Half of its requests are of the fresh users, and only these are served."""
    sizes = replication.sizes
    own = (2 * replication.seed + 1) * sizes.most_plans + number
    end = ONLINE_START + ONLINE_DAYS * DAY_MS
    return RunPlan(own, 2 * sizes.online, ONLINE_START, end, users=2 * sizes.users, world=world(WORLD))


def _log(experiment: Experiment, traffic: ServedTraffic, names: tuple[str, ...]) -> OnlineLog:
    frame, space = traffic.frame, experiment.action_space
    inside, objectives = inside_share(attributions(experiment)), len(experiment.objective_names)
    states, world_of_run = traffic.stage.run.states(traffic.plan), traffic.stage.run.world
    served = space.weights[frame["action_arm"].to_numpy()]
    base = np.broadcast_to(space.weights[space.production_arm], served.shape)
    values = [world_of_run.values_of(states, each, inside)[:, :objectives] for each in (served, base)]
    reward, _ = RowOutcomes.of(frame, experiment).named(experiment.objective_names)
    user, cohort = user_numbers(frame["request_user_id"]), frame["request_cohort"].to_numpy()
    return OnlineLog(names, traffic.arms.arm[user], user, cohort, reward, *values)


def _known(replication: Replication, traffic: ServedTraffic) -> KnownRequests:
    """Requests of the first arm, production."""
    experiment, rows = replication.experiment, np.flatnonzero(traffic.arms.arm[traffic.plan.user] == 0)
    fewer = min(replication.sizes.known, len(rows))
    kept = np.sort(np.random.default_rng(replication.seed).choice(rows, fewer, replace=False))
    states = traffic.stage.run.states(traffic.plan.take(kept))
    inside, space = inside_share(attributions(experiment)), experiment.action_space
    values = traffic.stage.run.world.arm_values(states, space.weights, inside)
    return KnownRequests(
        traffic.frame["request_cohort"].to_numpy()[kept],
        alpha_arms(replication.algorithm, encoded_requests(traffic.frame[kept], replication.contract)),
        values[..., : len(experiment.objective_names)],
        space.production_arm,
    )


def _joined(logs: list[OnlineLog]) -> OnlineLog:
    arrays = ("arm", "user", "cohort", "reward", "served", "base")
    return OnlineLog(logs[0].names, *(np.concatenate([getattr(each, name) for each in logs]) for name in arrays))
