"""Impossible tables are refused, and possible ones add up."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.records import LAST_DAY
from event_schemas.units import DAY_MS
from learner.examples.slice_tallies import ArmDay, SpanDay, SpanTotal
from learner.examples.tally_tables import MOST_DECISIONS, TallyTotals, table_fault

COUNTS = {"EXPLORE": 2, "POLICY": 8}
ARMS: list[dict[str, Any]] = [
    {"day": 3, "slice": "EXPLORE", "arm": 0, "count": 2},
    {"day": 3, "slice": "POLICY", "arm": 1, "count": 5},
    {"day": 4, "slice": "POLICY", "arm": 1, "count": 3},
]
SPAN: dict[str, Any] = {
    "exploration": "d",
    "first_event_time": 3 * DAY_MS,
    "last_event_time": 3 * DAY_MS + 9,
    "decisions": 7,
    "units": 3,
    "rate_sum": 1.75,
    "square_sum": 19.0,
}
NEXT = {**SPAN, "first_event_time": 4 * DAY_MS, "last_event_time": 4 * DAY_MS, "decisions": 3, "units": 3}


def test_what_can_be_true_is_believed() -> None:
    assert table_fault(COUNTS, ARMS, [SPAN, NEXT]) is None
    assert table_fault(COUNTS, ARMS, []) is None
    assert table_fault(COUNTS, [], [SPAN]) is None
    assert table_fault(COUNTS, [], []) is None
    assert table_fault({**COUNTS, "CONTROL": 0}, ARMS, [SPAN]) is None


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"slice": "explore"}, "unknown slice"),
        ({"slice": ""}, "unknown slice"),
        ({"day": -1}, "day -1"),
        ({"day": LAST_DAY + 1}, "day"),
        ({"arm": -1}, "arm -1"),
        ({"count": -1}, "-1 decisions"),
        ({"count": MOST_DECISIONS + 1}, "decisions"),
        ({"count": 6}, "differ"),
        ({"slice": "EXPLORE"}, "differ"),
        ({"day": 4}, "twice"),
    ],
)
def test_absurd_arms_are_refused(change: dict[str, Any], why: str) -> None:
    assert why in (table_fault(COUNTS, [ARMS[0], ARMS[1] | change, ARMS[2]], [SPAN]) or "")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"last_event_time": 3 * DAY_MS - 1}, "a span from"),
        ({"last_event_time": 4 * DAY_MS}, "a span from"),
        ({"first_event_time": -1}, "a span from"),
        ({"first_event_time": 2**62, "last_event_time": 2**62}, "a span from"),
        ({"units": 8}, "of 8 units"),
        ({"units": -1}, "of -1 units"),
        ({"decisions": 2**62}, "decisions of"),
        ({"decisions": 8}, "more decisions than"),
        ({"rate_sum": 7.1}, "sum of rates"),
        ({"rate_sum": -0.1}, "sum of rates"),
        ({"rate_sum": math.nan}, "sum of rates"),
        ({"rate_sum": math.inf}, "sum of rates"),
        ({"square_sum": 6.0}, "sum of squares"),
        ({"square_sum": math.nan}, "sum of squares"),
        ({"square_sum": math.inf}, "sum of squares"),
        ({"first_event_time": 4 * DAY_MS, "last_event_time": 4 * DAY_MS, "decisions": 3, "rate_sum": 1.0}, "twice"),
    ],
)
def test_absurd_spans_are_refused(change: dict[str, Any], why: str) -> None:
    assert why in (table_fault(COUNTS, ARMS, [SPAN | change, NEXT]) or "")


def test_spans_without_arms_cannot_have_more_decisions_than_there_are() -> None:
    assert table_fault({"POLICY": 6}, [], [SPAN]) == "spans has more decisions than there are"


def test_sources_add_up() -> None:
    totals = TallyTotals()
    for _ in range(2):
        totals.add(COUNTS, ARMS, [SPAN, NEXT])
    totals.add({"POLICY": 90})
    result = totals.result({"absurd": 1})
    assert (result.counts, result.left_out) == ({"EXPLORE": 4, "POLICY": 106}, {"absurd": 1})
    expected = {ArmDay(3, "EXPLORE", 0): 4, ArmDay(3, "POLICY", 1): 10, ArmDay(4, "POLICY", 1): 6}
    assert result.arms == expected
    assert result.spans[SpanDay("d", 3)] == SpanTotal(3 * DAY_MS, 3 * DAY_MS + 9, 14, 6, 3.5, 38.0)
    assert result.undated == {"EXPLORE": 0, "POLICY": 90}


def test_a_tally_without_days_leaves_the_days_until_it_open() -> None:
    totals = TallyTotals()
    totals.add({}, told_at=90 * DAY_MS)
    totals.add(COUNTS, ARMS, [SPAN, NEXT], told_at=70 * DAY_MS)
    assert totals.result({}).undated_until is None
    totals.add({"POLICY": 90}, told_at=7 * DAY_MS)
    totals.add({"POLICY": 90}, told_at=6 * DAY_MS)
    totals.add_undated({}, 5 * DAY_MS)
    assert totals.result({}).undated_until == 7 * DAY_MS
    assert totals.result({}).counts == {"EXPLORE": 2, "POLICY": 188}


VALUE = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20) | st.floats()


@settings(deadline=None)
@given(st.sampled_from([name for name in SPAN if name != "exploration"]), VALUE, VALUE)
def test_whatever_is_believed_can_be_weighed(field: str, value: float, squares: float) -> None:
    spans = [SPAN | {"square_sum": squares, field: value if "sum" in field or isinstance(value, int) else 0}, NEXT]
    if table_fault(COUNTS, ARMS, spans) is None:
        totals = TallyTotals()
        totals.add(COUNTS, ARMS, spans)
        tallies = totals.result({})
        assert all(0.0 <= decisions.p_value(2.0) <= 1.0 for decisions in tallies.rated.values())
