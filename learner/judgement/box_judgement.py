"""Evaluates policies over a box of weights on stored examples: production, uniform, or proposals from a file.

The values and lifts are those of `off_policy.box_evaluation`. A quadratic response surface, fitted across folds of the
users or sessions, is the model of the doubly robust estimates.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from event_schemas.experiment import Experiment
from learner.examples.learner_errors import BoxNotLearnt, NothingToLearn
from learner.examples.learning_rows import LearningRows
from learner.judgement.box_distributions import BoxColumns
from learner.judgement.candidate_policies import LOGGED, PRODUCTION, UNIFORM, comparable_places
from learner.judgement.proposal_table import Proposals, read_proposals
from learner.judgement.table_policy import TableLayout
from off_policy.box_evaluation import evaluate_box_policies
from off_policy.box_log import LEAST_LOG_DENSITY, BoxLog
from off_policy.box_policies import (
    BoxPolicy,
    bandwidth_of,
    kernel_policy,
    logged_policy,
    normal_policy,
    production_policy,
    uniform_vectors,
)
from off_policy.evaluation_report import EvaluationReport
from off_policy.intervals import EvidenceRequirements
from off_policy.response_surface import ResponseSurface

log = structlog.get_logger(__name__)


def judge_box(
    policy: str,
    rows: LearningRows,
    layout: TableLayout,
    experiment: Experiment,
    requirements: EvidenceRequirements,
    learned: Callable[[LearningRows], Proposals] | None = None,
) -> tuple[EvaluationReport, EvaluationReport | None]:
    """One policy against production, and the policy that explored, whose value is the mean of the log.

    The second report is that of signals and guardrails; None if there are none.

    `policy` is production, uniform or a Parquet file with proposals, or with `learned`, what a checkpoint proposes,
    the name of that. Rows that could not explore production are left out, because nothing can be compared with it there
    (`comparable_places`). Raises BoxNotLearnt for any other name, TablePolicyError for an unusable file and
    NothingToLearn without a usable row.
    """
    usable, found = box_log(rows.take(comparable_places(rows, experiment)), experiment)
    production = production_policy(PRODUCTION, found.rows)
    named: dict[str, Callable[[], BoxPolicy]] = {
        PRODUCTION: lambda: production,
        UNIFORM: lambda: uniform_vectors(UNIFORM, found.rows),
    }
    if learned is not None:
        asked = _policy_of(policy, learned(usable), found)
    elif policy in named:
        asked = named[policy]()
    elif policy.endswith(".parquet") or Path(policy).exists() or len(Path(policy).parts) > 1:
        asked = _proposed(Path(policy), usable, layout, experiment, found)
    else:
        raise BoxNotLearnt(
            f"nothing learns a box of weights, so there is no policy {policy!r} to evaluate",
            fix=f"name {PRODUCTION}, {UNIFORM} or a Parquet file with proposals: trimtab evaluate --policy FILE",
        )
    policies = [asked, logged_policy(LOGGED, found)]

    def judged(log: BoxLog) -> EvaluationReport:
        return evaluate_box_policies(log, policies, production, ResponseSurface.of(log), requirements)

    watched = usable.watched_bandit(experiment)
    return judged(found), None if watched is None else judged(replace(found, decisions=watched))


def box_log(rows: LearningRows, experiment: Experiment) -> tuple[LearningRows, BoxLog]:
    """The rows that an estimator can use, and the log of them.

    Rows whose vector is not inside the box, or has no density, are left out and counted in the log; the check of the
    log calls it unsound then. Raises NothingToLearn if no row is left.
    """
    space = experiment.action_space
    columns = BoxColumns.of(rows.frame, space)
    inside = ((columns.normalised >= 0.0) & (columns.normalised <= 1.0)).all(axis=1)
    dense = np.isfinite(columns.log_density) & (columns.log_density >= LEAST_LOG_DENSITY)
    sound = ~columns.vector | (inside & dense)
    if not sound.all():
        first = rows.frame["request_request_id"][int(np.flatnonzero(~sound)[0])]
        log.warning("vectors without a density or outside the box left out", rows=int((~sound).sum()), first=first)
    if not sound.any():
        raise NothingToLearn(
            f"none of {rows.count} explored examples has a vector with a density, or production",
            fix="log the density of every vector: Propensity.log_density",
        )
    usable = rows.take(sound)
    vector, density = columns.normalised[sound], columns.log_density[sound]
    production = space.normalised(space.weights[space.production_arm])
    return usable, BoxLog(usable.logged_bandit(experiment), vector, density, production)


def _proposed(path: Path, rows: LearningRows, layout: TableLayout, experiment: Experiment, found: BoxLog) -> BoxPolicy:
    """The policy in a file."""
    request_ids = rows.frame["request_request_id"].to_list()
    return _policy_of(path.stem, read_proposals(path, layout.where, request_ids, experiment.action_space), found)


def _policy_of(name: str, proposals: Proposals, found: BoxLog) -> BoxPolicy:
    """A distribution if the proposals have standard deviations, else smoothed by a kernel."""
    if proposals.sd is None:
        return kernel_policy(name, proposals.mean, bandwidth_of(found))
    return normal_policy(name, proposals.mean, proposals.sd)
