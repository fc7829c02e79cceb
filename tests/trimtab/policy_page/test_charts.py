"""The page's own charts draw what they are given."""

from typing import Any

from off_policy.svg_rendering import to_svg
from trimtab.policy_page.charts import frontiers_chart, lines_chart, pairs_chart


def test_pairs_have_a_point_each_and_bars_where_there_is_an_interval() -> None:
    rows: list[dict[str, float | None]] = [
        {"x": 0.1, "y": 0.2, "low": 0.1, "high": 0.3},
        {"x": 0.3, "y": None, "low": None, "high": None},
    ]
    layers: Any = pairs_chart(rows, "predicted", "observed").layer
    assert layers[0].data.values == [{"x": 0.1, "y": 0.1}, {"x": 0.3, "y": 0.3}]
    assert layers[1].data.values == layers[2].data.values == rows
    assert "predicted" in to_svg(pairs_chart(rows, "predicted", "observed"), "pairs")


def test_lines_have_a_legend_if_there_are_several() -> None:
    one = [{"x": 0.0, "y": 1.0, "series": "repin"}, {"x": 1.0, "y": 2.0, "series": "repin"}]
    both = [*one, {"x": 0.0, "y": 2.0, "series": "p2p"}]
    assert ">repin<" not in to_svg(lines_chart(one, "α", "%"), "lines")
    drawn = to_svg(lines_chart(both, "α", "%"), "lines")
    assert ">repin<" in drawn and ">p2p<" in drawn


def test_frontiers_are_joined_in_the_order_of_alpha() -> None:
    rows = [{"x": 2.0, "y": 1.0, "alpha": 0.0, "series": "user"}, {"x": 1.0, "y": 2.0, "alpha": 1.0, "series": "user"}]
    assert frontiers_chart(rows, "repin", "p2p").to_dict()["layer"][0]["encoding"]["order"]["field"] == "alpha"
