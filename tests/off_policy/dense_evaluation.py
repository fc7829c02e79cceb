"""The evaluation as its formulas say it: each cell from all of its rows, with or without a weight. Slow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from off_policy.doubly_robust import (
    ModelledSample,
    direct_method,
    doubly_robust,
    dr_optimistic_shrinkage,
    self_normalised_dr,
    switch_dr,
)
from off_policy.estimates import Estimate
from off_policy.evaluation_report import EvaluationReport, PolicyReport
from off_policy.importance_weights import importance_weights
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import clipped_ips, ips, reward_at_hit, snips
from off_policy.logged_bandit import LoggedBandit
from off_policy.paired_lift import PairedLift, no_lift, paired_dr_lift, paired_snips_lift
from off_policy.sampling_design import SamplingDesign
from off_policy.target_policies import TargetPolicy

Cell = dict[str, Estimate | PairedLift]


def dense_cell(
    log: LoggedBandit,
    policies: tuple[TargetPolicy, TargetPolicy],
    q: np.ndarray | None,
    place: tuple[str | None, int],
    requirements: EvidenceRequirements,
) -> Cell:
    """The estimates and lifts of a policy (with the baseline second) in one cohort on one objective, by name."""
    cohort, objective = place
    scope = np.ones(log.rows, dtype=bool) if cohort is None else log.cohort_rows(cohort)
    rows = np.flatnonzero(scope & log.observed[:, objective])
    weights, base = (importance_weights(log, each)[rows] for each in policies)
    rewards, design = log.reward[rows, objective], SamplingDesign(log.units).take(rows)
    found: list[Estimate] = [
        ips(weights, rewards, requirements, design),
        snips(weights, rewards, requirements, design),
        clipped_ips(weights, rewards, design=design),
        reward_at_hit(weights, rewards, policies[0].deterministic, requirements, design),
    ]
    lifts = {"lift": paired_snips_lift(weights, base, rewards, requirements, design)}
    if q is not None:
        logged = q[np.arange(log.rows), log.action][rows, objective].astype(np.float64)
        ours, theirs = (
            ModelledSample(w, rewards, logged, each.expected(q)[rows, objective], design)
            for w, each in zip((weights, base), policies, strict=True)
        )
        found += [direct_method(ours), doubly_robust(ours, requirements), self_normalised_dr(ours, requirements)]
        found += [switch_dr(ours), dr_optimistic_shrinkage(ours)]
        lifts["dr_lift"] = paired_dr_lift(ours, theirs, requirements)
    if policies[0].same_as(policies[1]):
        lifts = {name: no_lift(lift, requirements.level) for name, lift in lifts.items()}
    return {each.estimator: each for each in found} | lifts


def cells(report: EvaluationReport, policy: PolicyReport) -> Iterator[tuple[tuple[str | None, int], Cell]]:
    """Each (cohort, objective) of a policy in a report, with what it holds by name."""
    for cohort in (None, *policy.cohorts):
        for objective, name in enumerate(report.objectives):
            result = policy.scope(cohort)[name]
            lifts = {"lift": result.lift} | ({} if result.dr_lift is None else {"dr_lift": result.dr_lift})
            yield (cohort, objective), {**result.estimates, **lifts}
