"""What a verdict says of looks: that none is due, what changed since the last one, and which budget it spends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from event_schemas.instant import utc_text
from learner.judgement.gate import GateEvidence, GateVerdict, Reason, Verdict
from learner.judgement.gate_budget import GateBudget, Lift, Look

LOOK_NOT_DUE = "look_not_due"


def not_due(budget: GateBudget, holdout_from: int) -> GateVerdict:
    """The verdict on a checkpoint whose hold-out, from `holdout_from` (epoch ms) on, was judged in part before."""
    last = budget.last
    assert last is not None
    name = "an earlier checkpoint" if last.version is None else last.version
    sentence = (
        f"no look: rows of the hold-out were judged in look {last.number}, and each is judged once; the next look is"
        f" due when the hold-out, which begins at {utc_text(holdout_from)}, begins at {utc_text(last.holdout_to)};"
        f" look {last.number} of {name} gave {last.verdict}, which stands"
    )
    return GateVerdict(Verdict.INCONCLUSIVE, (Reason(LOOK_NOT_DUE, sentence), *_declared(budget)), looked=False)


def with_look_reasons(verdict: GateVerdict, budget: GateBudget, look: Look, evidence: GateEvidence) -> GateVerdict:
    """The verdict of `look` with what people need to compare it with the one before; `budget` is that before it."""
    flip = _flip(verdict, budget, look, evidence) if verdict.looked else ()
    return replace(verdict, reasons=(*verdict.reasons, *_declared(budget), *flip))


def judged_lifts(evidence: GateEvidence) -> dict[str, Lift]:
    """The judged lifts with their bounds; those without an interval are left out."""
    lifts = {**evidence.lifts, **evidence.guardrail_lifts}
    return {
        name: [lift.relative, lift.relative_interval.lower, lift.relative_interval.upper]
        for name, lift in lifts.items()
        if lift.relative_interval is not None
    }


def _flip(verdict: GateVerdict, budget: GateBudget, look: Look, evidence: GateEvidence) -> tuple[Reason, ...]:
    last = budget.last
    if last is None or last.verdict == verdict.verdict.value:
        return ()
    version = "" if last.version is None else f" of {last.version}"
    sentence = (
        f"look {last.number}{version} gave {last.verdict}; since then the policy was trained again, all rows of the"
        f" hold-out are new, and the error that a look may spend went from {last.share:.2g} to {look.share:.2g}"
    )
    if last.over != evidence.over:
        return (
            Reason("changed_since_last_look", f"{sentence}; lifts were over {last.over}, and are over {evidence.over}"),
        )
    moved = _moved(last.lifts, judged_lifts(evidence))
    return (Reason("changed_since_last_look", f"{sentence}: {moved}" if moved else sentence),)


def _moved(before: Mapping[str, Lift], after: Mapping[str, Lift]) -> str:
    return ", ".join(
        f"{name} from {_bounds(before[name])} to {_bounds(after[name])}" for name in after if name in before
    )


def _bounds(lift: Lift) -> str:
    relative, lower, upper = lift
    return f"{relative:+.1%} [{lower:+.1%}, {upper:+.1%}]"


def _declared(budget: GateBudget) -> tuple[Reason, ...]:
    """For every budget but the first: that it is a new one, why, and what was spent before it."""
    if budget.number == 1:
        return ()
    changes = ", ".join(budget.changes)
    sentence = (
        f"budget {budget.number} of the gate, because its settings changed: {changes}; looks before it spent"
        f" {budget.spent_before:.2g}, and looks of this one {budget.spent:.2g} so far"
    )
    return (Reason("new_budget", sentence),)
