"""Builds the world and the traffic of a run from an experiment and a seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from event_schemas.errors import ExperimentError
from event_schemas.experiment import Experiment
from simulator.homefeed import OBJECTIVES, TUNED_HEADS, Homefeed
from simulator.live_run import LiveWorld
from simulator.traffic import TrafficPlan, plan_traffic
from simulator.user_population import COHORTS, draw_population
from simulator.user_responses import ResponseQueue
from simulator.visible_features import VisibleFeatures

USERS = 3_000


@dataclass(frozen=True)
class RunPlan:
    """The requests of a run: their number and time range (epoch ms); different seeds give different request ids."""

    seed: int
    requests: int
    start_ms: int
    end_ms: int
    users: int = USERS


def build_world(experiment: Experiment, plan: RunPlan) -> tuple[LiveWorld, TrafficPlan]:
    """The world, determined by the experiment's salt, and the requests, determined by the plan.

    A plan shifted by whole days gives the same requests on other dates.

    The experiment has the homefeed's weights, objectives and cohorts; further objectives may count the same
    engagements in other ways, such as "either". Raises ExperimentError if it has not.
    """
    _check_fits(experiment)
    world_seed = zlib.crc32(experiment.experiment.salt.encode())
    population = draw_population(world_seed, plan.users)
    attribution = [objective.attribution for objective in experiment.optimised[: len(OBJECTIVES)]]
    world = LiveWorld(
        feed=Homefeed(world_seed, population, experiment.action_space.weights),
        features=VisibleFeatures(world_seed, population, experiment.exploration.id_unit),
        responses=ResponseQueue(world_seed, attribution),
    )
    traffic = plan_traffic(plan.seed, population, plan.requests, start_ms=plan.start_ms, end_ms=plan.end_ms)
    return world, traffic


def with_exploration_rate(experiment: Experiment, rate: float | None) -> Experiment:
    """The experiment with exploration rate `rate`; unchanged if it is None."""
    if rate is None:
        return experiment
    return experiment.model_copy(
        update={"experiment": experiment.experiment.model_copy(update={"exploration_rate": rate})}
    )


def _check_fits(experiment: Experiment) -> None:
    cohorts = tuple(cohort.name for cohort in experiment.cohorts)
    found = {
        "weights": tuple(weight.name for weight in experiment.weights),
        "objectives": experiment.objective_names[: len(OBJECTIVES)],
        "cohorts": cohorts,
    }
    wanted = {"weights": TUNED_HEADS, "objectives": OBJECTIVES, "cohorts": COHORTS}
    for table, names in wanted.items():
        if found[table] != names:
            raise ExperimentError(
                f"experiment {experiment.name!r} has [[{table}]] {list(found[table])}, the homefeed has {list(names)}",
                fix="simulate with simulator/experiments/homefeed.toml",
            )
    for objective in experiment.counted:
        if not set(objective.kinds) <= set(OBJECTIVES):
            table = "objectives" if objective in experiment.objectives else "guardrails"
            raise ExperimentError(
                f"experiment {experiment.name!r}: {table}[{objective.name}] counts {list(objective.kinds)}, but the"
                f" homefeed's users do nothing but {list(OBJECTIVES)}",
                fix=f"count only these kinds, or leave it out of [[{table}]]",
            )
    if experiment.join.clock != "replay":
        raise ExperimentError(
            f"experiment {experiment.name!r} has join.clock = 'live', but a simulation does not run in real time",
            fix="set join.clock = 'replay'",
        )
