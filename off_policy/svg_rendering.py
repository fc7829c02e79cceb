"""Renders a chart as SVG text for embedding in a page: no script, no font file, no network."""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

CHART_WIDTH = 360
"""Width in px of the smallest screen we support: the SVG scales up, so small text stays readable on every screen."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"

INK, MUTED, GRID = "#1f2933", "#52606d", "#e4e7eb"
ACCENT, POSITIVE, NEUTRAL = "#0b69a3", "#0c6b58", "#9aa5b1"


def styled(chart: Any) -> Any:
    """A top-level altair chart in our common style: one font, light axes, no frame."""
    return (
        chart.configure(font=FONT, background="white", padding={"left": 4, "right": 12, "top": 4, "bottom": 4})
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=11,
            titleFontSize=12,
            titleFontWeight="normal",
            labelColor=MUTED,
            titleColor=INK,
            gridColor=GRID,
            domainColor=NEUTRAL,
            tickColor=NEUTRAL,
        )
        .configure_legend(labelFontSize=11, titleFontSize=11, labelColor=INK, orient="bottom", symbolSize=60)
        .configure_title(fontSize=13, anchor="start", color=INK, subtitleColor=MUTED, subtitleFontSize=11)
    )


def to_svg(chart: alt.TopLevelMixin, description: str, max_width: int = 620) -> str:
    """One <svg> element that fills its container up to `max_width` px and keeps its proportions.

    `description` is the text for screen readers. Needs the extra `learner` (vl-convert).
    """
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(chart.to_dict())
    match = re.search(r"<svg\b[^>]*>", svg)
    assert match is not None, "vl-convert returned no <svg> element"
    head = re.sub(r'\s(?:width|height|style|class)="[^"]*"', "", match.group(0))
    style = f"display:block;width:100%;max-width:{max_width}px;height:auto"
    label = f' role="img" aria-label="{escape(description, quote=True)}" style="{style}">'
    return head[:-1] + label + svg[match.end() :]
