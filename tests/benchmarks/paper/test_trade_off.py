"""The three policies are the knee and its neighbours, and the order of lifts is that of the paper's Table 1."""

from benchmarks.paper.lift_points import Point
from benchmarks.paper.trade_off import chosen_three, ordered, summary, trade_off


def points(pairs: list[tuple[float, float]]) -> list[list[Point]]:
    return [[{"lift": each, "lower": None, "upper": None, "true": each} for each in pair] for pair in pairs]


def test_the_knee_has_the_best_smaller_lift_and_two_neighbours() -> None:
    offline = points([(9.0, 5.0), (4.0, -1.0), (3.0, 2.0), (1.0, 4.0), (0.0, 5.0)])
    assert chosen_three(offline) == [1, 2, 3]  # an α at the end has one neighbour only


def test_the_order_is_counted_over_seeds() -> None:
    falling = points([(3.0, -1.0), (2.0, 1.5), (1.0, 3.0)])
    table = trade_off(falling, falling)
    assert [row["alpha"] for row in table] == [0.0, 0.125, 0.25]
    assert ordered(table, "offline", "lift")
    other = trade_off(falling, points([(3.0, -1.0), (3.5, 1.5), (1.0, 3.0)]))
    assert not ordered(other, "online", "true")
    found = summary([table, other])
    assert found["ordered"] == {"offline lift": 2, "online lift": 1, "online true": 1}
    assert found["rows"][1]["online"][0]["lift"][0] == 2.75
