"""Evaluation reports of an unsound log: the values stay, for whoever looks for the fault; nothing bounds them."""

import math
from collections.abc import Mapping
from dataclasses import replace

from learner.judgement.log_soundness import LogSoundness, LogVerdict
from learner.judgement.serving_comparison import ServingComparison
from off_policy.estimates import Estimate, Refusal, RefusalCode
from off_policy.evaluation_report import EvaluationReport, PolicyObjective, PolicyReport
from off_policy.paired_lift import PairedLift

UNSOUND = Refusal(RefusalCode.UNSOUND_LOG, "the log is unsound, so no interval can be trusted")


def shown_report(report: EvaluationReport, log: LogSoundness) -> EvaluationReport:
    """The report as it may be shown: without intervals and standard errors if its log is unsound."""
    if log.verdict is not LogVerdict.UNSOUND:
        return report
    policies = tuple(_policy(each) for each in report.policies)
    return replace(report, baseline=_policy(report.baseline), policies=policies)


def shown_comparison(comparison: ServingComparison, log: LogSoundness) -> ServingComparison:
    """The same for the lifts over the serving checkpoint."""
    if log.verdict is not LogVerdict.UNSOUND:
        return comparison
    cohorts = {cohort: _lifts(lifts) for cohort, lifts in comparison.cohort_lifts.items()}
    watched = _lifts(comparison.watched_lifts)
    return replace(comparison, lifts=_lifts(comparison.lifts), cohort_lifts=cohorts, watched_lifts=watched)


def _policy(report: PolicyReport) -> PolicyReport:
    cohorts = {name: _objectives(scope) for name, scope in report.cohorts.items()}
    return replace(report, objectives=_objectives(report.objectives), cohorts=cohorts)


def _objectives(scope: Mapping[str, PolicyObjective]) -> dict[str, PolicyObjective]:
    return {
        name: PolicyObjective(
            {estimator: _estimate(each) for estimator, each in found.estimates.items()},
            _lift(found.lift),
            None if found.dr_lift is None else _lift(found.dr_lift),
        )
        for name, found in scope.items()
    }


def _estimate(estimate: Estimate) -> Estimate:
    return replace(estimate, standard_error=math.nan, interval=None, refusal=UNSOUND)


def _lifts(lifts: Mapping[str, PairedLift]) -> dict[str, PairedLift]:
    return {name: _lift(lift) for name, lift in lifts.items()}


def _lift(lift: PairedLift) -> PairedLift:
    return replace(
        lift,
        standard_error=math.nan,
        interval=None,
        relative_standard_error=math.nan,
        relative_interval=None,
        refusal=UNSOUND,
    )
