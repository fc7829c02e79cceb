"""The entry that a concluded experiment has in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from event_schemas.shown_text import listed
from policy_store.records import ExperimentRefused

if TYPE_CHECKING:
    from learner.experiment_look import ExperimentLook
    from learner.online_arms import OnlineComparison
    from policy_store.records import OnlineExperiment, Verdict


def require_unharmed(look: ExperimentLook, winner: str) -> None:
    """Raises ExperimentRefused if the arm clearly harms an objective or one of the experiment's guardrails."""
    objectives = {label.name for label in look.found.comparison.labels if label.role == "optimise"}
    outcomes = look.arms[winner].outcomes if winner in look.arms else {}
    watched = objectives | set(look.rule.guardrails)
    harmed = [name for name, each in outcomes.items() if name in watched and each.state.value == "harmed"]
    if harmed:
        raise ExperimentRefused(
            f"arm {winner} harms {listed(harmed)}, which the experiment was to improve or to guard",
            fix="conclude it as rejected, or adopt the arm all the same with --override-guardrails and a --reason",
        )


def require_unharmed_cohorts(look: ExperimentLook, winner: str) -> None:
    """Raises ExperimentRefused if the arm clearly harms an objective or guardrail among the users of a cohort."""
    harmed = look.arms[winner].harmed_cohorts if winner in look.arms else ()
    if harmed:
        raise ExperimentRefused(
            f"arm {winner} harms {listed([f'{outcome} in cohort {cohort}' for cohort, outcome in harmed])}",
            fix="conclude it as rejected, or adopt the arm all the same with --override-guardrails and a --reason",
        )


def require_counted(found: OnlineComparison, verdict: Verdict) -> None:
    """Raises ExperimentRefused for a verdict on nothing: an entry is for ever, and this may be the wrong machine."""
    if found.seen is None and verdict != "stopped":
        raise ExperimentRefused(
            f"the examples stored on this machine have no request of experiment {found.question.id}, so nothing can be"
            f" {verdict}",
            fix="run it where `trimtab learn` stores examples, or end it with --verdict stopped",
        )


def ledger_content(
    plan: OnlineExperiment, found: OnlineComparison, verdict: Verdict, winner: str | None
) -> dict[str, Any]:
    """The fields of a LedgerRecord other than who decided; the record checks them.

    Its span ends with the last request that counts: later ones may still wait for the join.
    """
    compared = found.as_dict()
    names: Sequence[str] = compared["outcomes"]
    labels = compared["arms"][plan.control]["outcomes"]
    return {
        "id": plan.id,
        "control": plan.control,
        "start": plan.start,
        "end": plan.start if found.seen is None else found.seen[1] + 1,
        "outcomes": [{"name": name, "role": labels[name]["role"], "per": labels[name]["per"]} for name in names],
        "arms": [
            {
                "name": arm.name,
                "share": arm.share,
                "version": arm.version,
                "preference": None if arm.preference is None else arm.preference.model_dump(mode="json"),
                "users": compared["arms"][arm.name]["users"],
                "rows": compared["arms"][arm.name]["rows"],
                "means": [compared["arms"][arm.name]["outcomes"][name]["mean"] for name in names],
                "deltas": [compared["arms"][arm.name]["outcomes"][name]["delta"] for name in names],
                "covariance": compared["arms"][arm.name]["covariance"],
            }
            for arm in plan.arms
        ],
        "sample_ratio_p": compared["sample_ratio_p"],
        "verdict": verdict,
        "winner": winner,
    }
