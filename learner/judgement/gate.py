"""The gate decides whether a checkpoint may serve. It is a pure function from evidence to a verdict with reasons.

`pass`: on every objective and every guardrail the lift's lower bound is above −margin and the upper bound is not below
zero, there are enough matched rows and expected positives, the log is sound and there is no drift. `refuse`: an upper
bound is below zero, that is, harm is shown. `inconclusive`: everything else; such a checkpoint may only run in shadow.

All errors share one budget. A wrong pass requires that the lower bound of an objective or a guardrail that is truly
worse than −margin fails, so all use the same level (intersection-union test). The errors of looks add up, so look k
gets the share 6/(π² k²); these shares sum to one however long the system runs.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from event_schemas.experiment_sections import GateSpec
from off_policy.paired_lift import PairedLift

UNSOUND_P_VALUE = 1e-4
"""Below this p-value the log contradicts its propensities; with daily looks, one false alarm in 27 years."""


class Verdict(StrEnum):
    """The gate's result for a checkpoint."""

    PASS = "pass"
    INCONCLUSIVE = "inconclusive"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Reason:
    """A code for machines, a sentence for people."""

    code: str
    sentence: str


@dataclass(frozen=True)
class GateEvidence:
    """The gate's input.

    lifts            objective -> lift of the judged policy over the baseline, at `look_level(...)`; empty until people
                     have weighed the objectives
    cohort_lifts     the same inside each cohort
    guardrail_lifts  guardrail -> its lift, in the same way
    log_p_value      p-value of the sample-ratio test; None if it could not be done
    head_shift       ranker head -> PSI between the training span and the hold-out
    preference_declared   False until people have weighed the objectives
    judged_online    what is counted per session or user-day: only an online experiment can judge it, and a pass says so
    log_faults       why the log is unsound, in sentences; empty if it is not, or if `log_p_value` alone says so
    completeness_doubt   why the log is not known to be complete; empty if it is
    """

    lifts: Mapping[str, PairedLift]
    cohort_lifts: Mapping[str, Mapping[str, PairedLift]] = field(default_factory=dict)
    guardrail_lifts: Mapping[str, PairedLift] = field(default_factory=dict)
    log_p_value: float | None = None
    head_shift: Mapping[str, float] = field(default_factory=dict)
    preference_declared: bool = True
    judged_online: tuple[str, ...] = ()
    log_faults: tuple[str, ...] = ()
    completeness_doubt: str = ""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict and its reasons, most important first."""

    verdict: Verdict
    reasons: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report and the checkpoint's manifest."""
        return {"verdict": self.verdict.value, "reasons": [asdict(reason) for reason in self.reasons]}


def look_level(error_budget: float, look: int) -> float:
    """Coverage of the two-sided intervals at look number `look` (from 1), whose one-sided error is the look's share."""
    share = error_budget * 6.0 / (math.pi**2 * look**2)
    return 1.0 - 2.0 * min(share, 0.25)


def judge(evidence: GateEvidence, spec: GateSpec) -> GateVerdict:
    """The verdict on one checkpoint under the preference in force."""
    harm = [reason for name, lift in evidence.lifts.items() for reason in _harm(name, lift)]
    harm += [_of_guardrail(each) for name, lift in evidence.guardrail_lifts.items() for each in _harm(name, lift)]
    if harm:
        return GateVerdict(Verdict.REFUSE, tuple(harm))
    doubts = [
        *_preference_doubts(evidence),
        *_log_doubts(evidence),
        *_no_objective(evidence),
        *(reason for name, lift in evidence.lifts.items() for reason in _doubt(name, lift, spec)),
        *(_of_guardrail(each) for name, lift in evidence.guardrail_lifts.items() for each in _doubt(name, lift, spec)),
        *_cohort_doubts(evidence),
        *_drift_doubts(evidence, spec.max_drift),
        *_completeness_doubts(evidence),
    ]
    if doubts:
        return GateVerdict(Verdict.INCONCLUSIVE, tuple(doubts))
    lifts = {**evidence.lifts, **evidence.guardrail_lifts}
    bounds = ", ".join(f"{name} {_bounds(lift)}" for name, lift in lifts.items())
    sentence = f"every lift over the baseline is above -{spec.margin:.1%}: {bounds}"
    if evidence.judged_online:
        sentence += f"; left to online experiments: {', '.join(evidence.judged_online)}"
    return GateVerdict(Verdict.PASS, (Reason("harmless", sentence),))


def _no_objective(evidence: GateEvidence) -> list[Reason]:
    if evidence.lifts or not evidence.preference_declared:
        return []
    return [Reason("insufficient_evidence", "no objective was judged")]


def _harm(name: str, lift: PairedLift) -> list[Reason]:
    interval = lift.relative_interval
    if not lift.gateable or interval is None or not interval.upper < 0.0:
        return []
    return [Reason("harm", f"{name}: the lift over the baseline is {_bounds(lift)}, below zero")]


def _doubt(name: str, lift: PairedLift, spec: GateSpec) -> list[Reason]:
    interval, missing = lift.relative_interval, _missing_evidence(lift, spec)
    if missing is not None or interval is None:
        return [Reason("insufficient_evidence", f"{name}: {missing or 'the lift is undefined'}")]
    if not interval.lower > -spec.margin:
        sentence = f"the lift over the baseline is {_bounds(lift)}; its lower bound must exceed -{spec.margin:.1%}"
        return [Reason("not_shown_harmless", f"{name}: {sentence}")]
    return []


def _of_guardrail(reason: Reason) -> Reason:
    return Reason(f"guardrail_{reason.code}", f"guardrail {reason.sentence}")


def _missing_evidence(lift: PairedLift, spec: GateSpec) -> str | None:
    """Why the lift's interval must not be used for a decision, or None if it may be used.

    `min_matched_rows` and `min_positives` are asked of both policies, the positives as expected from other rows: what
    the judged rows earned decides nothing here. They also apply to a policy that equals the baseline: its lift is zero
    by definition, even on an empty log, and a bad log would go unnoticed.
    """
    if lift.refusal is not None:
        return lift.refusal.reason
    if not lift.gateable:
        return "the baseline's value may be zero, so nothing can be compared with it"
    if lift.relative_interval is not None and math.isnan(lift.relative_interval.lower + lift.relative_interval.upper):
        return "the lift's interval is not a number"
    if min(lift.matched_rows, lift.baseline_matched_rows) < spec.min_matched_rows:
        return f"fewer than {spec.min_matched_rows} matched rows ({lift.matched_rows})"
    if not lift.expected_positives >= spec.min_positives:
        return f"fewer than {spec.min_positives} positives expected ({lift.expected_positives:.1f})"
    return None


def _cohort_doubts(evidence: GateEvidence) -> list[Reason]:
    return [
        Reason("cohort_harm", f"cohort {cohort}, {reason.sentence}")
        for cohort, lifts in evidence.cohort_lifts.items()
        for name, lift in lifts.items()
        for reason in _harm(name, lift)
    ]


def _log_doubts(evidence: GateEvidence) -> list[Reason]:
    p_value, faults = evidence.log_p_value, evidence.log_faults
    if faults:
        return [Reason("unsound_log", f"the log is unsound, so no estimate can be trusted: {'; '.join(faults)}")]
    if p_value is not None and not p_value >= UNSOUND_P_VALUE:
        sentence = f"the log contradicts what it says of its draws (p = {p_value:.1e}): no estimate can be trusted"
        return [Reason("unsound_log", sentence)]
    return []


def _completeness_doubts(evidence: GateEvidence) -> list[Reason]:
    doubt = evidence.completeness_doubt
    return [Reason("completeness_unverified", f"the log may be incomplete: {doubt}")] if doubt else []


def _drift_doubts(evidence: GateEvidence, max_drift: float) -> list[Reason]:
    return [
        Reason("drift", f"ranker head {head}: PSI {shift:.2f} between training and hold-out, more than {max_drift:g}")
        for head, shift in evidence.head_shift.items()
        if not shift <= max_drift
    ]


def _preference_doubts(evidence: GateEvidence) -> list[Reason]:
    if evidence.preference_declared:
        return []
    return [
        Reason("no_preference", "no preference is approved: use `trimtab alpha propose` and `trimtab alpha approve`")
    ]


def _bounds(lift: PairedLift) -> str:
    interval = lift.relative_interval
    assert interval is not None
    return f"{lift.relative:+.1%} [{interval.lower:+.1%}, {interval.upper:+.1%}]"
