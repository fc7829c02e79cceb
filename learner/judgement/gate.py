"""The gate decides whether a checkpoint may serve. It is a pure function from evidence to a verdict with reasons.

`pass`: on every objective and every guardrail the lift's lower bound is above −margin and the upper bound is not below
zero, no cohort is harmed, there are enough matched rows and expected positives, the log is sound and there is no drift.
`refuse`: an upper bound is below zero, that is, harm is shown. `inconclusive`: everything else; such a checkpoint may
only run in shadow.

The errors of a look with the share s of the budget (`gate_budget`), with O objectives, G guardrails and C cohorts:

- A wrong pass: at most s. It requires that the lower bound of an objective or guardrail that is truly worse than
  −margin fails, so all of them use s (intersection-union test; Berger 1982); cohorts only take passes away.
- A wrong refusal: at most (O + G) s, for a checkpoint that harms nothing; of a refresh, which must harm neither what
  serves nor production, at most 2 (O + G) s.
- A checkpoint that harms no cohort, held back as if it did: at most s, because each of the C O bounds uses s / (C O);
  a refresh, whose cohorts are held against production too, at most 2 s.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from event_schemas.experiment_sections import GateSpec
from learner.judgement.gate_budget import BASELINE
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

    lifts            objective -> lift of the judged policy over the baseline, at the look's level; empty until people
                     have weighed the objectives
    cohort_lifts     the same inside each cohort, at `Look.level_of_each` of all cohorts and objectives
    guardrail_lifts  guardrail -> its lift, in the same way
    log_p_value      p-value of the sample-ratio test; None if it could not be done
    head_shift       ranker head -> PSI between the training span and the hold-out
    preference_declared   False until people have weighed the objectives
    judged_online    what is counted per session or user-day: only an online experiment can judge it, and a pass says so
    log_faults       why the log is unsound, in sentences; empty if it is not, or if `log_p_value` alone says so
    completeness_doubt   why the log is not known to be complete; empty if it is
    over             what the lifts are over, in words
    production_lifts     of a refresh: its lifts over production, on objectives and guardrails. They only refuse
    production_cohort_lifts   the same inside each cohort, as in `cohort_lifts`. They only take passes away
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
    over: str = BASELINE
    production_lifts: Mapping[str, PairedLift] = field(default_factory=dict)
    production_cohort_lifts: Mapping[str, Mapping[str, PairedLift]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict and its reasons, most important first; `looked`: whether what the judged rows earned decided it."""

    verdict: Verdict
    reasons: tuple[Reason, ...]
    looked: bool = True

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report and the checkpoint's manifest."""
        return {"verdict": self.verdict.value, "reasons": [asdict(reason) for reason in self.reasons]}


def judge(evidence: GateEvidence, spec: GateSpec) -> GateVerdict:
    """The verdict on one checkpoint under the preference in force.

    Where it cannot pass whatever the judged rows earned, and no harm is shown, they decide nothing: this is no look.
    """
    missing = _missing(evidence, spec)
    doubts = [
        *_preference_doubts(evidence),
        *_log_doubts(evidence),
        *missing,
        *_drift_doubts(evidence, spec.max_drift),
        *_completeness_doubts(evidence),
    ]
    if missing or not evidence.preference_declared:
        return GateVerdict(Verdict.INCONCLUSIVE, tuple(doubts), looked=False)
    over = evidence.over
    harm = [reason for name, lift in evidence.lifts.items() for reason in _harm(name, lift, over)]
    harm += [_of_guardrail(each) for name, lift in evidence.guardrail_lifts.items() for each in _harm(name, lift, over)]
    harm += [each for name, lift in evidence.production_lifts.items() for each in _harm(name, lift, BASELINE)]
    if harm:
        return GateVerdict(Verdict.REFUSE, tuple(harm))
    if doubts:
        return GateVerdict(Verdict.INCONCLUSIVE, tuple(doubts), looked=False)
    doubts = [
        *(reason for name, lift in evidence.lifts.items() for reason in _doubt(name, lift, spec, over)),
        *(
            _of_guardrail(each)
            for name, lift in evidence.guardrail_lifts.items()
            for each in _doubt(name, lift, spec, over)
        ),
        *_cohort_doubts(evidence),
    ]
    if doubts:
        return GateVerdict(Verdict.INCONCLUSIVE, tuple(doubts))
    lifts = {**evidence.lifts, **evidence.guardrail_lifts}
    bounds = ", ".join(f"{name} {_bounds(lift)}" for name, lift in lifts.items())
    sentence = f"every lift over {over} is above -{spec.margin:.1%}: {bounds}"
    if evidence.production_lifts:
        sentence += f"; not shown worse than {BASELINE}, for everybody or in a cohort"
    if evidence.judged_online:
        sentence += f"; left to online experiments: {', '.join(evidence.judged_online)}"
    return GateVerdict(Verdict.PASS, (Reason("harmless", sentence),))


def stated_verdict(content: Mapping[str, Any]) -> GateVerdict:
    """The verdict that `GateVerdict.as_dict` gave; raises KeyError, TypeError or ValueError if it is malformed."""
    reasons = tuple(Reason(str(each["code"]), str(each["sentence"])) for each in content["reasons"])
    return GateVerdict(Verdict(content["verdict"]), reasons)


def _missing(evidence: GateEvidence, spec: GateSpec) -> list[Reason]:
    """What is missing before anything can be judged."""
    return [
        *_no_objective(evidence),
        *(reason for name, lift in evidence.lifts.items() for reason in _lacking(name, lift, spec)),
        *(
            _of_guardrail(each)
            for name, lift in evidence.guardrail_lifts.items()
            for each in _lacking(name, lift, spec)
        ),
    ]


def _no_objective(evidence: GateEvidence) -> list[Reason]:
    if evidence.lifts or not evidence.preference_declared:
        return []
    return [Reason("insufficient_evidence", "no objective was judged")]


def _harm(name: str, lift: PairedLift, over: str) -> list[Reason]:
    interval = lift.relative_interval
    if not lift.gateable or interval is None or not interval.upper < 0.0:
        return []
    return [Reason("harm", f"{name}: the lift over {over} is {_bounds(lift)}, below zero")]


def _lacking(name: str, lift: PairedLift, spec: GateSpec) -> list[Reason]:
    missing = _missing_evidence(lift, spec)
    return [] if missing is None else [Reason("insufficient_evidence", f"{name}: {missing}")]


def _doubt(name: str, lift: PairedLift, spec: GateSpec, over: str) -> list[Reason]:
    interval = lift.relative_interval
    assert interval is not None
    if interval.lower > -spec.margin:
        return []
    sentence = f"the lift over {over} is {_bounds(lift)}; its lower bound must exceed -{spec.margin:.1%}"
    return [Reason("not_shown_harmless", f"{name}: {sentence}")]


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
    """Harm in a cohort, by a refresh also against production: steps within what a look can show would add up."""
    return [
        Reason("cohort_harm", f"cohort {cohort}, {reason.sentence}")
        for judged, over in ((evidence.cohort_lifts, evidence.over), (evidence.production_cohort_lifts, BASELINE))
        for cohort, lifts in judged.items()
        for name, lift in lifts.items()
        for reason in _harm(name, lift, over)
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
