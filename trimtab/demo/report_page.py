"""report.html: one self-contained page, readable on a phone, with every chart as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from drift_detection.drift_chart import drift_chart
from off_policy.estimates import Estimate
from off_policy.estimates_chart import estimates_chart
from off_policy.evaluation_report import EvaluationReport
from off_policy.frontier_chart import frontier_chart
from off_policy.svg_rendering import to_svg
from trimtab.demo.act_outcome import DriftView, EvaluationView, ExperimentOutcome, Funnel
from trimtab.demo.demo_summary import DemoResult

TEMPLATES = Path(__file__).parent / "templates"
SHOWN_ESTIMATORS = ("ips", "snips", "dr", "reward_at_hit")
SILENT_FATES = ("joined", "duplicate", "outside")


def render_report(result: DemoResult, now: datetime) -> str:
    """The page as HTML; needs the extra `learner` (altair, vl-convert, jinja2)."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["percent"] = _percent
    environment.filters["count"] = lambda number: f"{number:,}"
    views = [_experiment_view(outcome) for outcome in result.outcomes]
    return environment.get_template("report.html.j2").render(
        made_at=now.strftime("%Y-%m-%d %H:%M %Z").strip(),
        result=result,
        acts={1: [view for view in views if view["act"] == 1], 2: [view for view in views if view["act"] == 2]},
        decisions=sum(outcome.funnel.decisions for outcome in result.outcomes),
        examples=sum(outcome.funnel.examples for outcome in result.outcomes),
        lost=sum(outcome.funnel.lost for outcome in result.outcomes),
        duplicated=sum(outcome.funnel.duplicated for outcome in result.outcomes),
    )


def _experiment_view(outcome: ExperimentOutcome) -> dict[str, Any]:
    return {
        "act": outcome.act,
        "outcome": outcome,
        "funnel": funnel_rows(outcome.funnel),
        "fates": fate_rows(outcome.funnel.fates),
        "evaluations": [_evaluation_view(outcome, view) for view in outcome.evaluations],
        "frontier": _frontier(outcome, outcome.selection),
        "drift": _drift(outcome, outcome.drift),
    }


def funnel_rows(funnel: Funnel) -> list[dict[str, Any]]:
    """Decisions → examples → rewarded examples: each with label, count, and width in percent of the decisions."""
    steps = [("decisions acknowledged", funnel.decisions), ("examples joined", funnel.examples)]
    steps += [(f"rewarded: {name}", count) for name, count in funnel.rewarded.items()]
    whole = max(funnel.decisions, funnel.examples, 1)
    return [{"label": label, "count": count, "width": 100.0 * count / whole} for label, count in steps]


def fate_rows(fates: Mapping[str, int]) -> list[dict[str, Any]]:
    """The fates that occur among the input events: each with count, share, and whether it is a dead letter."""
    whole = max(sum(fates.values()), 1)
    return [
        {"fate": fate, "count": count, "share": count / whole, "dead": fate not in SILENT_FATES}
        for fate, count in fates.items()
        if count
    ]


def estimate_cells(estimate: Estimate) -> dict[str, str]:
    """One estimate as text for the page."""
    if estimate.interval is None:
        interval = "none: " + (estimate.refusal.code.value.replace("_", " ") if estimate.refusal else "undefined")
    else:
        interval = f"{estimate.interval.lower:.4f} – {estimate.interval.upper:.4f}"
        interval += "" if estimate.gateable else " (too little evidence)"
    return {
        "estimator": estimate.estimator,
        "value": "undefined" if estimate.value != estimate.value else f"{estimate.value:.4f}",
        "interval": interval,
        "evidence": f"{estimate.matched_rows:,} matched, {estimate.positives:,} positive, ESS {estimate.ess:,.0f}",
    }


def _evaluation_view(outcome: ExperimentOutcome, view: EvaluationView) -> dict[str, Any]:
    names: Sequence[str] = (view.report.baseline.name, *view.policies)
    return {
        "title": view.title,
        "rows": view.report.rows,
        "baseline": view.report.baseline.name,
        "charts": [
            Markup(
                to_svg(
                    estimates_chart(view.report, objective, names, SHOWN_ESTIMATORS),
                    f"{outcome.title}: estimates of {objective} with intervals",
                )
            )
            for objective in view.report.objectives
        ],
        "tables": [
            {
                "policy": policy.name,
                "objective": objective,
                "rows": [
                    estimate_cells(result.estimates[name]) for name in SHOWN_ESTIMATORS if name in result.estimates
                ],
            }
            for policy in view.chosen()
            for objective, result in policy.objectives.items()
        ],
    }


def _frontier(outcome: ExperimentOutcome, report: EvaluationReport | None) -> Markup | None:
    if report is None:
        return None
    chart = frontier_chart(report, "dr")
    return Markup(to_svg(chart, f"{outcome.title}: the frontier of lifts over α"))


def _drift(outcome: ExperimentOutcome, view: DriftView | None) -> Markup | None:
    if view is None:
        return None
    chart = drift_chart(view.verdict, view.reference, view.live)
    return Markup(to_svg(chart, f"{outcome.title}: head predictions, reference against live"))


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or value != value else f"{100 * value:.{digits}f} %"
