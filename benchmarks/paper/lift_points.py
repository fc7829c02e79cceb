"""Lifts in percent with their intervals, as findings keep them, and means over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.learner_regret_figures import mean_interval
from benchmarks.paper.online_arms import OnlineLog
from benchmarks.paper.replication import ALPHAS, Replication
from off_policy.arm_results import ArmOutcome
from off_policy.estimates import Interval
from off_policy.evaluation_report import PolicyObjective
from off_policy.intervals import EvidenceRequirements
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import TargetPolicy, constant_policy

COHORTS = ("CORE", "CASUAL", "REST")
Point = dict[str, float | None]
"""`lift`, `lower` and `upper` bound, and `true`, all in percent; a bound is None where the interval was refused."""
OfCohorts = dict[str, list[list[Point]]]
"""By cohort, and under "all": a point for each α and objective."""


def point(lift: float, interval: Interval | None, true: float) -> Point:
    """A lift and its interval, given as fractions, with the true lift in percent."""
    bounds = (math.nan, math.nan) if interval is None else (interval.lower, interval.upper)
    found = {"lift": 100.0 * lift, "lower": 100.0 * bounds[0], "upper": 100.0 * bounds[1], "true": true}
    return {name: round(value, 3) if math.isfinite(value) else None for name, value in found.items()}


def offline_points(replication: Replication) -> OfCohorts:
    """For each of ALPHAS: Reward@HIT (SNIPS) lifts over production on the hold-out, with errors by user."""
    log, production = replication.log, replication.experiment.action_space.production_arm
    family = [TargetPolicy(f"{alpha:g}", arms=arms) for alpha, arms in zip(ALPHAS, replication.arms, strict=True)]
    base = constant_policy("production", production, log.rows)
    report = evaluate_policies(log, family, base, None, EvidenceRequirements())
    known = replication.known
    found: OfCohorts = {}
    for cohort in (None, *COHORTS):
        rows = np.asarray(np.ones(len(known.cohort), dtype=bool) if cohort is None else known.cohort == cohort)
        found[cohort or "all"] = [
            _offline(policy.scope(cohort), known.lifts(arms, rows))
            for policy, arms in zip(report.policies, known.arms, strict=True)
        ]
    return found


def online_points(log: OnlineLog, objectives: tuple[str, ...]) -> dict[str, dict[str, list[Point]]]:
    """By arm but production, then by cohort and under "all": a point for each objective."""
    found: dict[str, dict[str, list[Point]]] = {name: {} for name in log.names[1:]}
    for cohort in (None, *COHORTS):
        outcomes = log.outcomes(objectives, cohort)
        for name, places in found.items():
            places[cohort or "all"] = _online(outcomes[name], log.true_lifts(name, cohort))
    return found


def lifts_of(points: Sequence[Sequence[Point]], field: str = "lift") -> NDArray[np.float64]:
    """float[alphas, objectives] of a field of points, NaN where it is None."""
    return np.array([[each[field] for each in row] for row in points], dtype=np.float64)


def over_seeds(values: Sequence[float | None]) -> list[float | None]:
    """[mean, lower, upper] over seeds: Student's 95 % interval; seeds without a figure are left out."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return mean_interval(known) if known else [None, None, None]


def mean_points(runs: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """`lift` and `true` over seeds of points of the same place."""
    return {name: over_seeds([run[name] for run in runs]) for name in ("lift", "true")}


def _offline(scope: Mapping[str, PolicyObjective], true: NDArray[np.float64]) -> list[Point]:
    lifts = [each.lift for each in scope.values()]
    return [
        point(each.relative, each.relative_interval, value) for each, value in zip(lifts, true.tolist(), strict=True)
    ]


def _online(outcomes: Mapping[str, ArmOutcome], true: NDArray[np.float64]) -> list[Point]:
    pairs = zip(outcomes.values(), true.tolist(), strict=True)
    return [point(each.lift, each.lift_interval, value) for each, value in pairs]


def worse_lift(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The smaller of the objectives' lifts, of float[…, objectives]; NaN counts as the worst."""
    worse: NDArray[np.float64] = np.nan_to_num(points, nan=-np.inf).min(axis=-1)
    return worse
