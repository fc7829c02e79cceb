"""The charts of the page that no other report has: pairs of predicted and observed values, and lines by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from off_policy.svg_rendering import ACCENT, CHART_WIDTH, INK, MUTED, NEUTRAL, POSITIVE, styled

if TYPE_CHECKING:
    import altair as alt

CHART_HEIGHT = 240
SERIES_COLOURS = (ACCENT, POSITIVE, "#8d5b00", "#7b3f98", MUTED)


def pairs_chart(rows: Sequence[Mapping[str, float | None]], x_title: str, y_title: str) -> alt.LayerChart:
    """Points (x, y) with bars from `low` to `high` where there are any, beside the line x = y."""
    import altair as alt

    ends = [value for row in rows for value in (row["x"], row["y"]) if value is not None]
    span = [min(ends, default=0.0), max(ends, default=1.0)]
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    x = alt.X(
        "x:Q", title=x_title, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5, labelSeparation=6)
    )
    y = alt.Y("y:Q", title=y_title, scale=alt.Scale(zero=False, nice=True))
    line = alt.Chart(alt.InlineData(values=[{"x": end, "y": end} for end in span]))
    layers = [
        line.mark_line(color=NEUTRAL, strokeWidth=1, strokeDash=[3, 3]).encode(x=x, y=y),
        base.mark_rule(color=ACCENT, opacity=0.5).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_point(size=45, filled=True, opacity=1, color=ACCENT).encode(x=x, y=y),
    ]
    return _finished(layers)


def lines_chart(rows: Sequence[Mapping[str, Any]], x_title: str, y_title: str) -> alt.LayerChart:
    """Points (x, y) of each `series`, joined by a line in the order of x."""
    return _joined(rows, (x_title, y_title), order="x:Q", zero=True)


def frontiers_chart(rows: Sequence[Mapping[str, Any]], x_title: str, y_title: str) -> alt.LayerChart:
    """Points (x, y) of each `series`, joined in the order of α, in the plane of two lifts in percent."""
    return _joined(rows, (x_title, y_title), order="alpha:Q", zero=False)


def _joined(rows: Sequence[Mapping[str, Any]], titles: tuple[str, str], *, order: str, zero: bool) -> alt.LayerChart:
    import altair as alt

    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    colours = [SERIES_COLOURS[place % len(SERIES_COLOURS)] for place in range(len(names))]
    scale = alt.Scale(domain=names, range=colours)
    colour = alt.Color(
        "series:N", title=None, scale=scale, legend=alt.Legend(columns=2, labelLimit=160) if len(names) > 1 else None
    )
    x = alt.X(
        "x:Q", title=titles[0], scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5, labelSeparation=6)
    )
    y = alt.Y("y:Q", title=titles[1], scale=alt.Scale(zero=zero, nice=True))
    layers = [
        base.mark_line(strokeWidth=1.5).encode(x=x, y=y, color=colour, order=order),
        base.mark_point(size=30, filled=True, opacity=1).encode(x=x, y=y, color=colour),
    ]
    return _finished(layers)


def _finished(layers: Sequence[Any]) -> alt.LayerChart:
    import altair as alt

    fit = alt.AutoSizeParams(type="fit", contains="padding")
    layered = alt.layer(*layers).properties(width=CHART_WIDTH, height=CHART_HEIGHT, autosize=fit)
    chart: alt.LayerChart = styled(layered.configure_text(color=INK))
    return chart
