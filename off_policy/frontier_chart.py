"""The frontier over alpha: the lifts of each trade-off, with their intervals.

With two objectives it has one point per alpha in the plane of relative lifts; with one objective
(alpha then changes nothing) or more than two, it draws the lifts over alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from off_policy.evaluation_report import EvaluationReport, FrontierPoint
from off_policy.svg_rendering import ACCENT, CHART_WIDTH, INK, MUTED, NEUTRAL, POSITIVE, styled

if TYPE_CHECKING:
    import altair as alt

MAX_LABELS = 3
APART = 0.12, 0.06
"""Of the drawn width and height: labels that are nearer to each other than both would overlap."""
OFFERED, ON_FRONT, DOMINATED = "may be proposed", "on the front", "dominated"


def frontier_chart(report: EvaluationReport, estimator: str = "snips", cohort: str | None = None) -> alt.LayerChart:
    """Lifts over the baseline in percent; valid intervals are drawn as bars.

    `estimator` is "snips" or "dr"; `cohort` None means all rows. Needs the extra `learner` (altair).
    """
    points = report.frontier(estimator, cohort)
    if len(report.objectives) == 2:
        return _plane(points, report.objectives, report.baseline.name)
    return _over_alpha(points, report.objectives, report.baseline.name)


def lifts_over_alpha_chart(report: EvaluationReport, estimator: str = "snips") -> alt.LayerChart:
    """The lift of each objective over α, in percent, with its intervals as a band. Needs the extra `learner`."""
    return _over_alpha(report.frontier(estimator), report.objectives, report.baseline.name)


def frontier_rows(points: Sequence[FrontierPoint], objectives: Sequence[str]) -> list[dict[str, Any]]:
    """The chart's data: one row per policy, lifts and bounds in percent, None if refused."""
    labelled = _labelled(points)
    rows = []
    for point in points:
        status = OFFERED if point.proposable else ON_FRONT if point.on_front else DOMINATED
        row: dict[str, Any] = {"alpha": point.alpha, "status": status}
        row["label"] = f"α {point.alpha:.2f}" if point.name in labelled else ""
        for index, objective in enumerate(objectives):
            lift = point.lifts[objective]
            bounds = lift.relative_interval
            row[f"lift{index}"] = _percent(lift.relative)
            row[f"low{index}"] = None if bounds is None else _percent(bounds.lower)
            row[f"high{index}"] = None if bounds is None else _percent(bounds.upper)
        rows.append(row)
    return _apart(rows) if len(objectives) == 2 else rows


def _apart(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without the labels that would lie over an earlier one."""
    extents = [_extent(rows, index) for index in (0, 1)]
    kept = list[dict[str, Any]]()
    for row in rows:
        if not row["label"]:
            continue
        if any(_near(row, other, extents) for other in kept):
            row["label"] = ""
        else:
            kept.append(row)
    return rows


def _near(row: dict[str, Any], other: dict[str, Any], extents: Sequence[float]) -> bool:
    """Whether two points of the front, whose lifts are defined, have no room for two labels."""
    gaps = [abs(row[f"lift{index}"] - other[f"lift{index}"]) for index in (0, 1)]
    return all(gap <= near * extent for gap, near, extent in zip(gaps, APART, extents, strict=True))


def _extent(rows: Sequence[dict[str, Any]], index: int) -> float:
    """How much of one objective the chart shows, zero included."""
    ends = [row[f"{name}{index}"] for row in rows for name in ("low", "lift", "high")]
    known = [0.0, *(end for end in ends if end is not None)]
    return float(max(known) - min(known))


def _plane(points: Sequence[FrontierPoint], objectives: Sequence[str], baseline: str) -> alt.LayerChart:
    import altair as alt

    base = alt.Chart(alt.InlineData(values=frontier_rows(points, objectives)))
    scale = alt.Scale(zero=True, nice=True)
    title = f"{objectives[0]}: lift over {baseline}, %"
    x = alt.X("lift0:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6, labelSeparation=6))
    y = alt.Y("lift1:Q", title=f"{objectives[1]}: lift, %", scale=alt.Scale(zero=True, nice=True))
    whisker: dict[str, Any] = {"color": NEUTRAL, "opacity": 0.45, "strokeWidth": 1.0}
    colour = alt.Color(
        "status:N",
        title=None,
        scale=alt.Scale(domain=[OFFERED, ON_FRONT, DOMINATED], range=[POSITIVE, ACCENT, NEUTRAL]),
    )
    shape = alt.Shape(
        "status:N",
        title=None,
        scale=alt.Scale(domain=[OFFERED, ON_FRONT, DOMINATED], range=["circle", "diamond", "cross"]),
    )
    layers = [
        base.mark_rule(**whisker).encode(x=alt.X("low0:Q"), x2="high0:Q", y=y),
        base.mark_rule(**whisker).encode(x=x, y=alt.Y("low1:Q"), y2="high1:Q"),
        _zero_line(x=alt.datum(0)),
        _zero_line(y=alt.datum(0)),
        base.mark_line(color=NEUTRAL, strokeWidth=1, strokeDash=[3, 3]).encode(x=x, y=y, order="alpha:Q"),
        base.mark_point(size=55, filled=True, opacity=1).encode(x=x, y=y, color=colour, shape=shape),
        base.mark_text(dy=-10, fontSize=11, color=INK).encode(x=x, y=y, text="label:N"),
    ]
    return _finished(layers, height=320)


def _over_alpha(points: Sequence[FrontierPoint], objectives: Sequence[str], baseline: str) -> alt.LayerChart:
    import altair as alt

    rows = [
        {
            "alpha": row["alpha"],
            "objective": name,
            "lift": row[f"lift{i}"],
            "low": row[f"low{i}"],
            "high": row[f"high{i}"],
        }
        for row in frontier_rows(points, objectives)
        for i, name in enumerate(objectives)
    ]
    base = alt.Chart(alt.InlineData(values=rows))
    x = alt.X("alpha:Q", title="α", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(tickCount=5))
    y = alt.Y("lift:Q", title=f"lift over {baseline}, %", scale=alt.Scale(zero=True, nice=True))
    colour = alt.Color(
        "objective:N",
        title=None,
        scale=alt.Scale(domain=list(objectives), range=[ACCENT, POSITIVE, MUTED, NEUTRAL]),
        legend=alt.Legend() if len(objectives) > 1 else None,
    )
    layers = [
        base.mark_area(opacity=0.15).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        _zero_line(y=alt.datum(0)),
        base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=colour),
        base.mark_point(size=30, filled=True, opacity=1).encode(x=x, y=y, color=colour),
    ]
    return _finished(layers, height=240)


def _zero_line(**position: Any) -> Any:
    import altair as alt

    line = alt.Chart(alt.InlineData(values=[{}]))
    return line.mark_rule(color=MUTED, strokeWidth=1).encode(**position)


def _finished(layers: Sequence[Any], height: int) -> alt.LayerChart:
    import altair as alt

    fit = alt.AutoSizeParams(type="fit", contains="padding")
    chart: alt.LayerChart = styled(alt.layer(*layers).properties(width=CHART_WIDTH, height=height, autosize=fit))
    return chart


def _labelled(points: Sequence[FrontierPoint]) -> set[str]:
    """Names of at most MAX_LABELS points spread evenly over the front, both ends included."""
    front = [point.name for point in points if point.on_front]
    if len(front) <= MAX_LABELS:
        return set(front)
    steps = (round(i * (len(front) - 1) / (MAX_LABELS - 1)) for i in range(MAX_LABELS))
    return {front[step] for step in steps}


def _percent(value: float) -> float | None:
    return None if value != value else round(100.0 * value, 6)
