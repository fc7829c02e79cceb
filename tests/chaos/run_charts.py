"""Two charts of a run: how far behind the consumers were during the faults, and how much memory they used."""

from __future__ import annotations

from typing import Any

import altair as alt

from off_policy.svg_rendering import ACCENT, INK, MUTED, POSITIVE, styled, to_svg
from tests.chaos.judgement import History
from tests.chaos.memory_slope import MEGABYTE, MemorySlope, lives

WIDTH, HEIGHT = 560, 180


def lag_chart(history: History, title: str) -> str:
    """SVG: records not yet processed over time, with a mark for each action on the stage."""
    origin = history.samples[0].at
    rows = [{"s": sample.at - origin, "lag": sample.join.lag, "who": "join"} for sample in history.samples]
    rows += [
        {"s": sample.at - origin, "lag": sample.learner.lag, "who": "learner"}
        for sample in history.samples
        if sample.learner is not None
    ]
    base = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT, title=title)
    lines = base.mark_line(interpolate="step-after", strokeWidth=1.5).encode(
        x=alt.X("s:Q", title="seconds"),
        y=alt.Y("lag:Q", title="records not processed"),
        color=alt.Color("who:N", title=None, scale=alt.Scale(range=[ACCENT, POSITIVE])),
    )
    return to_svg(styled(_marks(history, origin) + lines), f"{title}: lag over time", max_width=720)


def memory_chart(history: History, slope: MemorySlope | None, title: str) -> str:
    """SVG: resident memory of every worker's lives, and the line fitted to the worker that had no faults."""
    origin = history.samples[0].at
    rows: list[dict[str, Any]] = [
        {"min": (at - origin) / 60, "mb": size / MEGABYTE, "life": life.name, "worker": life.name.split("#")[0]}
        for life in lives(history.samples)
        for at, size in zip(life.times, life.sizes, strict=True)
    ]
    base = alt.Chart(alt.InlineData(values=rows), width=WIDTH, height=HEIGHT + 80, title=title)
    chart = base.mark_line(strokeWidth=1.2).encode(
        x=alt.X("min:Q", title="minutes"),
        y=alt.Y("mb:Q", title="resident MB", scale=alt.Scale(zero=False)),
        color=alt.Color("worker:N", title=None),
        detail="life:N",
    )
    if slope is not None:
        end = max(row["min"] for row in rows if row["life"] == slope.life)
        line = [{"min": end - slope.seconds / 60, "mb": slope.start}, {"min": end, "mb": slope.end}]
        fitted = alt.Chart(alt.InlineData(values=line)).mark_line(color=INK, strokeDash=[5, 3])
        chart += fitted.encode(x="min:Q", y="mb:Q")
    return to_svg(styled(chart), f"{title}: memory over time", max_width=720)


def _marks(history: History, origin: float) -> Any:
    rows = [
        {"s": done.began - origin, "deed": f"{done.action.deed} {done.action.whom}".strip()}
        for done in history.performed
    ]
    marks = alt.Chart(alt.InlineData(values=rows))
    rule = marks.mark_rule(color=MUTED, strokeDash=[2, 2], opacity=0.7).encode(x="s:Q")
    words = marks.mark_text(align="left", angle=270, dx=4, dy=-3, fontSize=9, color=MUTED, baseline="bottom")
    return alt.layer(rule, words.encode(x="s:Q", y=alt.value(HEIGHT), text="deed:N"))
