"""The exact figures of a world: what the best static arm and the best choice for each request at each α would earn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace
from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment
from event_schemas.units import DAY_MS
from simulator.traffic import TrafficPlan, plan_traffic
from simulator.worlds.engagements import attributions, inside_share
from simulator.worlds.exact_values import unit_values
from simulator.worlds.named_worlds import NamedWorld
from simulator.worlds.user_log import COHORTS
from simulator.worlds.world_run import RunCalendar, WorldRun

ALPHAS = np.linspace(0, 1, 25)
"""The grid of PRL-PUTS; α multiplies the second objective, P2P."""
REFERENCE_MS = 1_763_942_400_000
REFERENCE_USERS, REFERENCE_REQUESTS, REQUESTS_PER_DAY = 2_000, 4_000, 2.0
OPTIMISED, HIDE = 2, 2


@dataclass(frozen=True)
class ReferenceRequests:
    """One day of requests in a world whose users have been followed for 28 days; `cohort` is an index into COHORTS."""

    run: WorldRun
    plan: TrafficPlan
    cohort: NDArray[np.int64]

    def values(self, space: ActionSpace, attribution_ms: Sequence[float]) -> NDArray[np.float64]:
        """The exact E[reward | request, arm], [n, arms, 3] by kind."""
        return self.run.world.arm_values(self.run.states(self.plan), space.weights, inside_share(attribution_ms))

    def values_without_intent(self, space: ActionSpace, attribution_ms: Sequence[float]) -> NDArray[np.float64]:
        """The same to someone who knows everything but today's intents, which only histories tell: their mean."""
        world, share = self.run.world, self.run.world.shape.lean.shop_share
        both = [
            world.arm_values(
                world.states(self.plan, np.full(len(self.plan), shops)), space.weights, inside_share(attribution_ms)
            )
            for shops in (False, True)
        ]
        mean: NDArray[np.float64] = (1 - share) * both[0] + share * both[1]
        return mean


def reference_requests(named: NamedWorld, requests: int = REFERENCE_REQUESTS) -> ReferenceRequests:
    """The requests that a world's figures are given for, or the first ones of another number of them."""
    world = named.populated(REFERENCE_USERS)
    run = WorldRun(world, RunCalendar(REFERENCE_MS, REFERENCE_MS + DAY_MS, REQUESTS_PER_DAY))
    plan = plan_traffic(1, world.people, requests, start_ms=REFERENCE_MS, end_ms=REFERENCE_MS + DAY_MS)
    return ReferenceRequests(run, plan, run.features(plan).cohort)


@dataclass(frozen=True)
class WorldTruth:
    """Lifts over production, relative, in the order (repin, p2p).

    `static` [arms, 2] are those of each arm served to everyone, `chosen` [25, 2] those of the best arm for each request
    at each α, and `by_cohort` [25, 3, 2] the same inside each cohort (NaN for one without requests).
    """

    rates: NDArray[np.float64]
    static: NDArray[np.float64]
    chosen: NDArray[np.float64]
    by_cohort: NDArray[np.float64]

    @property
    def best_static(self) -> float:
        """The best smaller lift of a static arm."""
        return float(self.static.min(axis=1).max())

    @property
    def best_chosen(self) -> float:
        """The best smaller lift of one α for everyone."""
        return float(self.chosen.min(axis=1).max())

    @property
    def degrading(self) -> int:
        """How many α make an objective worse."""
        return int((self.chosen.min(axis=1) < 0).sum())

    @property
    def safe(self) -> NDArray[np.bool_]:
        """bool[25, 3]: which α makes no objective worse in which cohort."""
        return np.asarray(self.by_cohort.min(axis=2) >= 0)

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain JSON values."""
        return {
            "rates": dict(zip(("repin", "p2p", "hide"), self.rates.tolist(), strict=True)),
            "best_static": self.best_static,
            "best_alpha": float(ALPHAS[self.chosen.min(axis=1).argmax()]),
            "best_chosen": self.best_chosen,
            "degrading": self.degrading,
            "lifts": self.chosen.tolist(),
            "safe_alphas": {name: ALPHAS[self.safe[:, cohort]].tolist() for cohort, name in enumerate(COHORTS)},
        }


def world_truth(
    values: NDArray[np.float64],
    cohort: NDArray[np.int64],
    production_arm: int,
    knowing: NDArray[np.float64] | None = None,
) -> WorldTruth:
    """The figures of requests with these values [n, arms, 3].

    With `knowing` [n, arms, 3], arms are chosen by these values, as a policy would that knows no more.
    """
    rows, seen = np.arange(len(values)), values if knowing is None else knowing
    objectives = values[..., :OPTIMISED]
    base = objectives[:, production_arm]
    chosen, by_cohort = [], []
    for alpha in ALPHAS:
        utility = (1 - alpha) * seen[..., 0] + alpha * seen[..., 1]
        served = objectives[rows, utility.argmax(axis=1)]
        chosen.append(served.mean(axis=0) / base.mean(axis=0) - 1)
        by_cohort.append([_lift(served, base, cohort == each) for each in range(len(COHORTS))])
    return WorldTruth(
        rates=values[:, production_arm].mean(axis=0),
        static=objectives.mean(axis=0) / base.mean(axis=0) - 1,
        chosen=np.array(chosen),
        by_cohort=np.array(by_cohort),
    )


def _lift(served: NDArray[np.float64], base: NDArray[np.float64], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    if not rows.any():
        return np.full(served.shape[1], np.nan)
    lift: NDArray[np.float64] = served[rows].mean(axis=0) / base[rows].mean(axis=0) - 1
    return lift


def world_figures(named: NamedWorld, experiment: Experiment) -> dict[str, Any]:
    """Name, summary and exact figures of a world with an experiment's arms, as plain JSON values.

    Raises SettingError for a world without exact values of this kind, and for arms that are not a grid.
    """
    space = experiment.action_space
    if named.shape is None or space.kind != "grid":
        raise SettingError(
            f"{named.name if named.shape is None else f'a {space.kind}'} has no exact figures over α",
            fix="choose another world, for example homefeed, and an experiment with weights that have steps",
        )
    reference = reference_requests(named)
    values = reference.values(space, attributions(experiment))
    truth = world_truth(values, reference.cohort, space.production_arm)
    blind = reference.values_without_intent(space, attributions(experiment))
    unseen = world_truth(values, reference.cohort, space.production_arm, knowing=blind)
    hides = values[:, space.production_arm, HIDE:]
    units = {"session": reference.plan.session, "user-day": reference.plan.user}
    return {
        "world": named.label,
        "summary": named.summary,
        **truth.as_dict(),
        "without_histories": unseen.best_chosen,
        "hides_per": {
            unit: float(unit_values(hides, np.unique(of, return_inverse=True)[1]).mean()) for unit, of in units.items()
        },
    }
