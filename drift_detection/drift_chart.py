"""Charts the reference and live distribution of each head, with the PSI between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from drift_detection.head_drift import DriftVerdict, HeadDrift
from drift_detection.quantile_sketch import QuantileSketch, Values

if TYPE_CHECKING:
    import altair as alt

CHART_WIDTH, PANEL_HEIGHT = 300, 90
REFERENCE, LIVE = "reference", "live"
REFERENCE_COLOUR, LIVE_COLOUR, ALARM_COLOUR, INK, MUTED = "#9aa5b1", "#0b69a3", "#ab091e", "#1f2933", "#52606d"


def drift_chart(
    verdict: DriftVerdict,
    reference: Mapping[str, QuantileSketch],
    live: Mapping[str, Values],
) -> alt.VConcatChart:
    """One panel per judged head: the share of values in each quantile bin of the reference.

    `reference` and `live` are the arguments of `check_heads`, `verdict` is its result. Without drift
    both curves are flat. Needs the extra `learner` (altair).
    """
    import altair as alt

    panels = [_panel(head, drift_rows(reference[head.head], live.get(head.head, ()))) for head in verdict.heads]
    title = alt.Title("Head predictions", subtitle="bars: reference, line: live (red: drifted)")
    chart: alt.VConcatChart = (
        alt.vconcat(*panels, spacing=14, title=title)
        .configure(background="white", font="system-ui, 'DejaVu Sans', sans-serif")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=11, titleFontSize=11, titleFontWeight="normal", labelColor=MUTED)
        .configure_title(fontSize=12, anchor="start", color=INK, subtitleColor=MUTED, subtitleFontSize=11)
    )
    return chart


def drift_rows(sketch: QuantileSketch, values: Values) -> list[dict[str, Any]]:
    """A panel's data as plain rows: the share in percent per bin and side."""
    counted = sketch.emptied().updated(values)
    return [
        {
            "bin": index + 1,
            "side": side,
            "share": 100.0 * histogram.counts[index] / histogram.total,
        }
        for side, histogram in ((REFERENCE, sketch), (LIVE, counted))
        if histogram.total > 0
        for index in range(len(histogram.counts))
    ]


def _panel(head: HeadDrift, rows: Sequence[Mapping[str, Any]]) -> Any:
    import altair as alt

    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    live_colour = ALARM_COLOUR if head.alarm else LIVE_COLOUR
    x = alt.X("bin:O", title="quantile bin of the reference", axis=alt.Axis(labelAngle=0))
    y = alt.Y("share:Q", title="share, %", scale=alt.Scale(zero=True, nice=True))
    bars = base.transform_filter(alt.datum.side == REFERENCE).mark_bar(color=REFERENCE_COLOUR, opacity=0.6)
    marks = base.transform_filter(alt.datum.side == LIVE).mark_line(
        color=live_colour, strokeWidth=2, point=alt.OverlayMarkDef(color=live_colour)
    )
    return alt.layer(
        bars.encode(x=x, y=y),
        marks.encode(x=x, y=y),
        title=panel_title(head),
    ).properties(width=CHART_WIDTH, height=PANEL_HEIGHT)


def panel_title(head: HeadDrift) -> str:
    """The head with its distances, or the reason why there are none."""
    if math.isnan(head.psi):
        return head.reason or head.head
    alarm = ", drifted" if head.alarm else ""
    return f"{head.head}: PSI {head.psi:.3f}, KS {head.ks:.3f}, {head.samples:,} live values{alarm}"
