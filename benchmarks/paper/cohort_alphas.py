"""Finding 3, Table 2: one α for each cohort degrades no cohort where no global α manages that.

A choice is judged by its worst exact lift over both objectives and all cohorts on fresh requests: at or above 0 it
degrades nobody. α are chosen on the hold-out, by its estimates and by its exact values; the latter shows what is there
to be found, and the former what so many explored rows find of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.lift_points import COHORTS, OfCohorts, Point, lifts_of, mean_points, over_seeds, worse_lift
from benchmarks.paper.replication import ALPHAS, KnownRequests

CHOICES = ("estimate", "true")
JUDGED = (
    "global, chosen on the hold-out by estimates",
    "per cohort, chosen on the hold-out by estimates",
    "global, chosen on the hold-out by exact values",
    "per cohort, chosen on the hold-out by exact values",
    "global, the best on the fresh requests themselves",
    "per cohort, the best on the fresh requests themselves",
)


def by_cohort(offline: OfCohorts, field: str) -> dict[str, float]:
    """The α of each cohort with the best smaller lift there, by `field` of the points."""
    return {name: float(ALPHAS[worse_lift(lifts_of(offline[name], field)).argmax()]) for name in COHORTS}


def everywhere(lifts: Mapping[str, NDArray[np.float64]]) -> float:
    """The α whose worst lift over cohorts and objectives is best; lifts are float[alphas, objectives] by cohort."""
    return float(ALPHAS[np.min([worse_lift(lifts[name]) for name in COHORTS], axis=0).argmax()])


def exact_lifts(known: KnownRequests) -> dict[str, NDArray[np.float64]]:
    """By cohort, float[alphas, objectives]: exact lifts of every α in percent."""
    return {
        name: np.array([known.lifts(arms, np.asarray(known.cohort == name)) for arms in known.arms]) for name in COHORTS
    }


def judged(offline: OfCohorts, fresh: KnownRequests) -> dict[str, Any]:
    """The α of each of JUDGED by cohort, and its worst lift on the fresh requests."""
    lifts = exact_lifts(fresh)
    choices: list[dict[str, float]] = []
    for field in ("lift", "true"):
        seen = {name: lifts_of(offline[name], field) for name in COHORTS}
        choices += [dict.fromkeys(COHORTS, everywhere(seen)), by_cohort(offline, field)]
    own = {name: float(ALPHAS[worse_lift(lifts[name]).argmax()]) for name in COHORTS}
    choices += [dict.fromkeys(COHORTS, everywhere(lifts)), own]
    return {
        name: {"alphas": alphas, "worst": worst_lift(lifts, alphas)}
        for name, alphas in zip(JUDGED, choices, strict=True)
    }


def worst_lift(lifts: Mapping[str, NDArray[np.float64]], alphas: Mapping[str, float]) -> float:
    """The worst lift over cohorts that have requests, and objectives, if each cohort gets its α."""
    served = [lifts[name][int(np.abs(ALPHAS - alphas[name]).argmin())] for name in COHORTS]
    return float(np.nanmin(served))


def summary(runs: Sequence[dict[str, Any]], online: Sequence[Mapping[str, Sequence[Point]]]) -> dict[str, Any]:
    """Over seeds: worst lifts, in how many seeds nobody is worse off, and the online arm with an α for each cohort."""
    rows = []
    for name in JUDGED:
        own = [run[name] for run in runs]
        rows.append(
            {
                "name": name,
                "alphas": {cohort: over_seeds([run["alphas"][cohort] for run in own]) for cohort in COHORTS},
                "worst": over_seeds([run["worst"] for run in own]),
                "harmless": sum(run["worst"] >= 0.0 for run in own),
            }
        )
    arm = {
        cohort: [mean_points([run[cohort][objective] for run in online]) for objective in range(2)]
        for cohort in ("all", *COHORTS)
    }
    return {"rows": rows, "online": arm, "seeds": len(runs)}
