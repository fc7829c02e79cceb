"""Which earlier decisions stand in for those that a request does not name."""

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.action_space import Axis, box_action_space, grid_action_space
from learner.examples.previous_fill import PREVIOUS_TYPE, PreviousCounts, fill_previous

SIDES = [Axis("a", 0.5, 0.0, 1.0, 2), Axis("b", 0.25, 0.0, 1.0, 2)]
SPACE = grid_action_space(SIDES)
SCHEMA: dict[str, Any] = {
    "request_request_id": pl.String,
    "request_event_time": pl.Int64,
    "request_user_id": pl.String,
    "request_previous": PREVIOUS_TYPE,
    "action_arm": pl.Int32,
    "action_weights": pl.List(pl.Float64),
    "action_action_space": pl.String,
    "mark": pl.Int64,
}


def row(name: str, time: int, user: str | None = "u", previous: Any = (), space: str = SPACE.digest) -> dict[str, Any]:
    weights = [float(time), sum(map(ord, name)) / 1000]
    return {
        "request_request_id": name,
        "request_event_time": time,
        "request_user_id": user,
        "request_previous": list(previous),
        "action_arm": 4,
        "action_weights": weights,
        "action_action_space": space,
        "mark": time * 7,
    }


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA)


def times(filled: pl.DataFrame) -> list[list[int]]:
    return [[entry["event_time"] for entry in entries] for entries in filled["request_previous"].to_list()]


def test_the_user_s_newest_earlier_decisions_of_any_slice_fill_in() -> None:
    log = frame(row("d", 4), row("a", 1), row("c", 3), row("b", 2), row("x", 2, "v"), row("e", 9))
    filled, counts = fill_previous(frame(row("d", 4), row("a", 1)), log, SPACE, 2)
    assert filled["request_previous"].to_list() == [
        [{"event_time": 3, "weights": [3.0, 0.099]}, {"event_time": 2, "weights": [2.0, 0.098]}],
        [],
    ]
    assert counts == PreviousCounts(echoed=0, filled=1, without=1)
    assert filled.drop("request_previous").equals(frame(row("d", 4), row("a", 1)).drop("request_previous"))
    assert filled.schema == pl.Schema(SCHEMA)


def test_what_a_request_says_stays() -> None:
    said = [{"event_time": 0, "weights": [5.0, 5.0]}]
    filled, counts = fill_previous(frame(row("b", 2, previous=said), row("c", 3)), frame(row("a", 1)), SPACE, 2)
    assert times(filled) == [[0], [1]]
    assert counts == PreviousCounts(echoed=1, filled=1, without=0)
    assert str(counts) == "1 echoed, 1 filled in from the log, 0 without"


def test_nothing_of_the_same_time_or_later_and_nothing_of_another_space_or_of_nobody() -> None:
    log = frame(row("a", 2), row("b", 3), row("c", 1, space="o" * 64), row("d", 1, "null"), row("e", 1, None))
    filled, counts = fill_previous(frame(row("r", 2), row("q", 2, "null"), row("p", 2, None)), log, SPACE, 5)
    assert times(filled) == [[], [], []]
    assert counts == PreviousCounts(without=3)


def test_rows_without_the_column_or_without_values_are_filled_in() -> None:
    log, rows = frame(row("a", 1)), frame(row("b", 2))
    for older in (
        rows.drop("request_previous"),
        rows.with_columns(pl.lit(None, PREVIOUS_TYPE).alias("request_previous")),
        rows.with_columns(pl.lit(None).alias("request_previous")),
    ):
        assert times(fill_previous(older, log, SPACE, 1)[0]) == [[1]]


def test_no_rows_and_no_log() -> None:
    assert fill_previous(frame(), frame(row("a", 1)), SPACE, 1)[0].height == 0
    filled, counts = fill_previous(frame(row("a", 1)), frame(), SPACE, 1)
    assert (times(filled), counts) == ([[]], PreviousCounts(without=1))


DECISIONS = st.lists(st.tuples(st.sampled_from(["u", "v", None, "null"]), st.integers(0, 12)), max_size=25)


@settings(max_examples=25)
@given(DECISIONS, DECISIONS, st.integers(1, 4))
def test_it_agrees_with_a_search_of_the_whole_log(
    logged: list[tuple[str | None, int]], asked: list[tuple[str | None, int]], length: int
) -> None:
    log = [row(f"l{number:03d}", time, user) for number, (user, time) in enumerate(logged)]
    rows = [row(f"r{number:03d}", time, user) for number, (user, time) in enumerate(asked)]
    filled, _ = fill_previous(frame(*rows), frame(*log), SPACE, length)
    for each, found in zip(rows, filled["request_previous"].to_list(), strict=True):
        earlier = [
            (one["request_event_time"], one["request_request_id"], one["action_weights"])
            for one in log
            if one["request_user_id"] == each["request_user_id"] in ("u", "v")
            and one["request_event_time"] < each["request_event_time"]
        ]
        expected = [{"event_time": time, "weights": weights} for time, _, weights in sorted(earlier)[::-1][:length]]
        assert found == expected


def test_a_decision_without_weights_served_those_of_its_arm() -> None:
    log = frame(row("a", 1) | {"action_weights": []}, row("b", 2) | {"action_weights": None, "action_arm": 1})
    filled, counts = fill_previous(frame(row("r", 3)), log, SPACE, 5)
    assert filled["request_previous"].to_list() == [
        [{"event_time": 2, "weights": [0.0, 1.0]}, {"event_time": 1, "weights": [0.5, 0.25]}]
    ]
    assert counts.filled == 1


def test_a_vector_that_nobody_logged_is_left_out_and_production_is_known() -> None:
    box = box_action_space(SIDES)
    silent = [row(name, time, space=box.digest) | {"action_weights": []} for name, time in (("a", 1), ("b", 2))]
    log = frame(silent[0] | {"action_arm": 1}, silent[1] | {"action_arm": 0})
    filled, _ = fill_previous(frame(row("r", 3)), log, box, 5)
    assert filled["request_previous"].to_list() == [[{"event_time": 1, "weights": [0.5, 0.25]}]]
