"""Offline against online lifts, each with its interval, one panel for each objective."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from off_policy.svg_rendering import ACCENT, CHART_WIDTH, NEUTRAL, styled

if TYPE_CHECKING:
    import altair as alt

OBJECTIVES = ("repin", "p2p")
HEIGHT = 240


def dots(runs: Sequence[Mapping[str, Any]], objective: int) -> list[dict[str, float]]:
    """A dot for each seed and α with both intervals; without both, none."""
    found = []
    for run in runs:
        for offline, online in zip(run["offline"], run["online"], strict=True):
            x, y = offline[objective], online[objective]
            if None not in (x["lower"], y["lower"]):
                sides = (("x", x), ("y", y))
                fields = (("", "lift"), ("_lower", "lower"), ("_upper", "upper"))
                found.append({side + end: values[name] for side, values in sides for end, name in fields})
    return found


def agreement_chart(runs: Sequence[Mapping[str, Any]]) -> tuple[alt.VConcatChart, str]:
    """The chart and its description; needs the extra `learner` (altair)."""
    import altair as alt

    panels = [_panel(dots(runs, place), name) for place, name in enumerate(OBJECTIVES)]
    chart: alt.VConcatChart = styled(alt.vconcat(*panels, spacing=24))
    said = f"Online against offline lifts of {len(runs[0]['offline'])} alphas in {len(runs)} seeds, with 95 % intervals"
    return chart, said


def _panel(rows: Sequence[Mapping[str, float]], name: str) -> Any:
    import altair as alt

    ends = [value for row in rows for value in row.values()] or [0.0]
    scale = alt.Scale(domain=[min(ends), max(ends)], nice=False)
    base = alt.Chart(alt.InlineData(values=list(rows)))
    x = alt.X("x:Q", title="offline lift, % (hold-out)", scale=scale)
    y = alt.Y("y:Q", title="online lift, %", scale=scale)
    line = alt.Chart(alt.InlineData(values=[{"x": end, "y": end} for end in (min(ends), max(ends))]))
    layers = [
        line.mark_line(color=NEUTRAL, strokeDash=[4, 3]).encode(x=x, y=y),
        base.mark_rule(color=ACCENT, opacity=0.2).encode(x="x_lower:Q", x2="x_upper:Q", y=y),
        base.mark_rule(color=ACCENT, opacity=0.2).encode(x=x, y="y_lower:Q", y2="y_upper:Q"),
        base.mark_circle(color=ACCENT, size=28, opacity=0.9).encode(x=x, y=y),
    ]
    title = alt.Title(f"{name}: online against offline lift", subtitle="dots: α by seed; dashed: equal lifts")
    return alt.layer(*layers).properties(width=CHART_WIDTH, height=HEIGHT, title=title)
