"""The chart has a dot for each α with both intervals, and its axes hold every bound."""

from benchmarks.paper.agreement_chart import agreement_chart, dots


def test_a_dot_has_both_intervals_and_none_is_drawn_without_them() -> None:
    whole = {"lift": 1.0, "lower": 0.5, "upper": 1.5, "true": 1.0}
    refused = {"lift": 1.0, "lower": None, "upper": None, "true": 1.0}
    run = {"offline": [[whole, whole], [refused, whole]], "online": [[whole, whole], [whole, whole]]}
    assert dots([run], 0) == [{"x": 1.0, "x_lower": 0.5, "x_upper": 1.5, "y": 1.0, "y_lower": 0.5, "y_upper": 1.5}]
    assert len(dots([run], 1)) == 2
    chart, said = agreement_chart([run])
    assert said == "Online against offline lifts of 2 alphas in 1 seeds, with 95 % intervals"
    assert [panel["title"]["text"][:6] for panel in chart.to_dict()["vconcat"]] == ["repin:", "p2p: o"]
