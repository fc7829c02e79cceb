"""A bar chart of events per second by peer, with the CPU time each needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from benchmarks.peer_table import OURS
from off_policy.svg_rendering import ACCENT, CHART_WIDTH, MUTED, NEUTRAL, styled

if TYPE_CHECKING:
    import altair as alt

ROW_HEIGHT = 26
ROOM = 1.6
"""Length of the axis relative to the longest bar; leaves room for the text after the bar."""


def bar_rows(rows: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One bar per peer, fastest first; wrong results are marked."""
    bars = [
        {
            "peer": peer,
            "events_per_s": row["events_per_s"],
            "text": f"{row['events_per_s']:,.0f}/s · {row['cpu_s_per_million']:.1f} CPU s per million"
            + (" · wrong result" if row["correct"] is False else ""),
            "ours": peer in OURS,
        }
        for peer, row in rows.items()
    ]
    return sorted(bars, key=lambda bar: -bar["events_per_s"])


def peer_chart(rows: Mapping[str, Mapping[str, Any]], title: str) -> alt.LayerChart:
    """The chart; needs the extra `learner` (altair)."""
    import altair as alt

    bars = bar_rows(rows)
    longest = max(bar["events_per_s"] for bar in bars)
    base = alt.Chart(alt.InlineData(values=bars))
    y = alt.Y("peer:N", title=None, sort=[bar["peer"] for bar in bars], axis=alt.Axis(ticks=False, domain=False))
    x = alt.X("events_per_s:Q", title="events per second", scale=alt.Scale(domain=[0, longest * ROOM]))
    colour = alt.condition("datum.ours", alt.value(ACCENT), alt.value(NEUTRAL))
    layers = [
        base.mark_bar(height=14).encode(x=x, y=y, color=colour),
        base.mark_text(align="left", dx=4, fontSize=10, color=MUTED).encode(x=x, y=y, text="text:N"),
    ]
    chart: alt.LayerChart = styled(
        alt.layer(*layers).properties(width=CHART_WIDTH, height=ROW_HEIGHT * len(bars), title=title)
    )
    return chart
