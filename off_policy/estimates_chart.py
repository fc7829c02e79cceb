"""Estimates with intervals, one line per policy and estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from off_policy.estimates import Estimate, json_number
from off_policy.evaluation_report import EvaluationReport, PolicyReport
from off_policy.svg_rendering import ACCENT, CHART_WIDTH, INK, MUTED, NEUTRAL, POSITIVE, styled

if TYPE_CHECKING:
    import altair as alt

SHOWN_ESTIMATORS = ("reward_at_hit", "ips", "snips", "dr", "dm")
ROW_HEIGHT = 22
DECIDES, STATED, NONE = "valid for decisions", "too little evidence for decisions", "no valid interval"


def estimates_chart(
    report: EvaluationReport,
    objective: str,
    policies: Sequence[str] | None = None,
    estimators: Sequence[str] = SHOWN_ESTIMATORS,
) -> alt.LayerChart:
    """Values of `objective` with their intervals, the baseline first.

    `policies` selects policies by name; None shows every policy of the report, which is a long chart
    for a family of 25 alphas. A value without a valid interval is drawn alone, in grey. Needs the
    extra `learner` (altair).
    """
    chosen = _chosen(report, policies)
    rows = estimate_rows(chosen, objective, estimators)
    return _draw(rows, title=f"{objective}: mean reward per request")


def estimate_rows(
    policies: Sequence[PolicyReport], objective: str, estimators: Sequence[str] = SHOWN_ESTIMATORS
) -> list[dict[str, Any]]:
    """The chart's data as plain rows, in drawing order; undefined values are left out."""
    rows = []
    for report in policies:
        estimates: Mapping[str, Estimate] = report.objectives[objective].estimates
        for name in estimators:
            estimate = estimates.get(name)
            if estimate is None or json_number(estimate.value) is None:
                continue
            bounds = estimate.interval
            rows.append(
                {
                    "line": f"{report.name} · {name}",
                    "value": estimate.value,
                    "low": None if bounds is None else bounds.lower,
                    "high": None if bounds is None else bounds.upper,
                    "standing": DECIDES if estimate.gateable else NONE if bounds is None else STATED,
                    "ess": f"ESS {estimate.ess:,.0f}",
                }
            )
    return rows


def _chosen(report: EvaluationReport, names: Sequence[str] | None) -> list[PolicyReport]:
    if names is not None:
        return [report.report_of(name) for name in names]
    others = [policy for policy in report.policies if policy.name != report.baseline.name]
    return [report.baseline, *others]


def value_domain(rows: Sequence[Mapping[str, Any]]) -> list[float]:
    """Axis limits: from zero (or the lowest bound) to a third beyond the highest, to leave room for the ESS text."""
    ends = [row[name] for row in rows for name in ("low", "value", "high") if row[name] is not None]
    lowest, highest = min(ends, default=0.0), max(ends, default=1.0)
    reach = highest - min(0.0, lowest)
    return [min(0.0, lowest), highest + (reach or 1.0) / 3.0]


def _draw(rows: Sequence[Mapping[str, Any]], title: str) -> alt.LayerChart:
    import altair as alt

    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    lines = list(dict.fromkeys(row["line"] for row in rows))
    y = alt.Y("line:N", title=None, sort=lines, axis=alt.Axis(labelLimit=170, ticks=False, domain=False))
    x = alt.X("value:Q", title=title, scale=alt.Scale(domain=value_domain(rows)))
    domain, range_ = [DECIDES, STATED, NONE], [POSITIVE, ACCENT, NEUTRAL]
    colour = alt.Color(
        "standing:N",
        title=None,
        scale=alt.Scale(domain=domain, range=range_),
        legend=alt.Legend(columns=1),
    )
    layers = [
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour),
        base.mark_point(size=50, filled=True, opacity=1).encode(x=x, y=y, color=colour),
        base.mark_text(align="right", fontSize=10, color=MUTED).encode(x=alt.value("width"), y=y, text="ess:N"),
    ]
    height = ROW_HEIGHT * max(len(lines), 1) + 120
    fit = alt.AutoSizeParams(type="fit", contains="padding")
    layered = alt.layer(*layers).properties(width=CHART_WIDTH, height=height, autosize=fit)
    chart: alt.LayerChart = styled(layered.configure_text(color=INK))
    return chart
