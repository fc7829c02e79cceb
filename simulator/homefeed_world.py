"""Builds the world and the traffic of a run from an experiment and a plan."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from event_schemas.errors import ExperimentError, SettingError
from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS
from simulator.easy_world import EasyWorld
from simulator.homefeed import OBJECTIVES, TUNED_HEADS, Homefeed
from simulator.traffic import TrafficPlan, plan_traffic
from simulator.user_population import COHORTS, draw_population
from simulator.user_responses import ResponseQueue
from simulator.visible_features import VisibleFeatures
from simulator.world_stage import WorldStage
from simulator.worlds.faults import Faults
from simulator.worlds.named_worlds import NamedWorld, world
from simulator.worlds.world_run import RunCalendar, WorldRun
from simulator.worlds.world_shape import KINDS, PRODUCTION_WEIGHTS
from simulator.worlds.world_truth import REQUESTS_PER_DAY

EASY_USERS = 3_000
FEWEST_USERS = 20


@dataclass(frozen=True)
class RunPlan:
    """The requests of a run: their number and time range (epoch ms); different seeds give different request ids.

    `users` is by default what the world has: 3,000 in `easy`, and elsewhere as many as make two requests a day each.
    """

    seed: int
    requests: int
    start_ms: int
    end_ms: int
    users: int | None = None
    world: NamedWorld = field(default_factory=lambda: world("easy"))
    faults: Faults = field(default_factory=Faults)

    @property
    def user_count(self) -> int:
        """Number of users."""
        if self.users is not None:
            return self.users
        days = (self.end_ms - self.start_ms) / DAY_MS
        return (
            EASY_USERS
            if self.world.shape is None
            else max(FEWEST_USERS, round(self.requests / days / REQUESTS_PER_DAY))
        )


def build_world(experiment: Experiment, plan: RunPlan) -> tuple[EasyWorld | WorldStage, TrafficPlan]:
    """The plan's world and its requests. `easy` is determined by the experiment's salt, any other world by its name.

    A plan shifted by whole days gives the same requests on other dates.

    The experiment has the homefeed's weights, objectives and cohorts; further objectives may count the same
    engagements in other ways, such as "either". Raises ExperimentError if it has not, and SettingError if `easy` is to
    have faults.
    """
    _check_fits(experiment, plan.world)
    if plan.world.shape is not None:
        return _named(experiment, plan)
    if plan.faults != Faults():
        raise SettingError("the world 'easy' has no faults", fix="simulate another world, for example homefeed")
    return _easy(experiment, plan)


def _easy(experiment: Experiment, plan: RunPlan) -> tuple[EasyWorld, TrafficPlan]:
    world_seed = zlib.crc32(experiment.experiment.salt.encode())
    population = draw_population(world_seed, plan.user_count)
    attribution = [objective.attribution for objective in experiment.optimised[: len(OBJECTIVES)]]
    drawn = EasyWorld(
        feed=Homefeed(world_seed, population, experiment.action_space.weights),
        features=VisibleFeatures(world_seed, population, experiment.exploration.id_unit),
        responses=ResponseQueue(world_seed, attribution),
    )
    return drawn, plan_traffic(plan.seed, population, plan.requests, start_ms=plan.start_ms, end_ms=plan.end_ms)


def _named(experiment: Experiment, plan: RunPlan) -> tuple[WorldStage, TrafficPlan]:
    drawn = plan.world.populated(plan.user_count)
    days = (plan.end_ms - plan.start_ms) / DAY_MS
    calendar = RunCalendar(plan.start_ms, plan.end_ms, plan.requests / plan.user_count / days)
    stage = WorldStage(WorldRun(drawn, calendar, plan.faults), experiment, plan.world.label)
    return stage, plan_traffic(plan.seed, drawn.people, plan.requests, start_ms=plan.start_ms, end_ms=plan.end_ms)


def with_exploration_rate(experiment: Experiment, rate: float | None) -> Experiment:
    """The experiment with exploration rate `rate`; unchanged if it is None."""
    if rate is None:
        return experiment
    return experiment.model_copy(
        update={"experiment": experiment.experiment.model_copy(update={"exploration_rate": rate})}
    )


def _check_fits(experiment: Experiment, surface: NamedWorld) -> None:
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
    kinds = OBJECTIVES if surface.shape is None else KINDS
    for objective in experiment.counted:
        if not set(objective.kinds) <= set(kinds):
            table = "objectives" if objective in experiment.objectives else "guardrails"
            raise ExperimentError(
                f"experiment {experiment.name!r}: {table}[{objective.name}] counts {list(objective.kinds)}, but the"
                f" homefeed's users do nothing but {list(kinds)}",
                fix=f"count only these kinds, or leave it out of [[{table}]]",
            )
    production = tuple(weight.production for weight in experiment.weights)
    if surface.shape is not None and production != PRODUCTION_WEIGHTS:
        raise ExperimentError(
            f"experiment {experiment.name!r} has the production weights {list(production)}, but the world"
            f" {surface.name!r} was made around {list(PRODUCTION_WEIGHTS)}",
            fix="give the [[weights]] these production values, or simulate the world easy",
        )
    if experiment.join.clock != "replay":
        raise ExperimentError(
            f"experiment {experiment.name!r} has join.clock = 'live', but a simulation does not run in real time",
            fix="set join.clock = 'replay'",
        )
