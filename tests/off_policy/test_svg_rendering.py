"""Charts become self-contained SVG that scales with its container."""

from __future__ import annotations

import re

import altair as alt

from off_policy.svg_rendering import styled, to_svg


def bar_chart() -> alt.Chart:
    chart: alt.Chart = styled(
        alt.Chart(alt.InlineData(values=[{"a": "x", "b": 1}])).mark_bar().encode(x="b:Q", y="a:N")
    )
    return chart


def test_the_svg_scales_and_speaks() -> None:
    svg = to_svg(bar_chart(), 'one bar, "x"', max_width=500)
    head = svg[: svg.index(">") + 1]
    assert head.startswith("<svg ")
    assert "viewBox=" in head
    assert re.search(r'\s(width|height)="', head) is None
    assert "max-width:500px" in head
    assert 'aria-label="one bar, &quot;x&quot;"' in head
    assert svg.endswith("</svg>")


def test_the_svg_needs_nothing_from_outside() -> None:
    svg = to_svg(bar_chart(), "one bar")
    assert "<script" not in svg
    assert "href" not in svg
    assert "@import" not in svg
    assert ' id="' not in svg, "ids of several charts on one page would collide"


def test_rendering_is_deterministic() -> None:
    assert to_svg(bar_chart(), "one bar") == to_svg(bar_chart(), "one bar")
