"""Rows read in columns against the same rows judged one by one, for records that contradict themselves or nearly do."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas import records as r
from stream_processors.columns.event_columns import EventColumns
from stream_processors.rule.event_limits import fault_of
from tests.stream_processors.event_log import CODEC, EventLog, box_rule, small_rule

RULES = {"grid": small_rule(), "box": box_rule()}
COLUMNS = {
    (kind, name): EventColumns(CODEC.registry.newest(name), rule)
    for kind, rule in RULES.items()
    for name in (r.ACTION, r.PROPENSITY)
}
kinds = st.sampled_from(sorted(RULES))
arms = st.integers(0, 4)
weights = st.sampled_from([1.0, 2.0, 3.0, 3.00001, 3.001, 4.0, -3.0, float("nan"), float("inf")])
shares = st.sampled_from([0.0, 0.1, 0.2, 0.2001, 0.25, 0.5, 1.0, -0.1, 1.5, float("nan")])

actions = st.fixed_dictionaries(
    {"slice": st.sampled_from(["EXPLORE", "CONTROL", "POLICY", "FALLBACK"]), "arm": arms},
    optional={
        "eligible": st.lists(arms, max_size=3),
        "weights": st.lists(weights, max_size=2),
        "shadow_weights": st.lists(weights, max_size=2),
    },
)
whole = st.sampled_from([[0.2] * 5, [0.5, 0.25, 0.25, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0]])
propensities = st.fixed_dictionaries(
    {"propensity": st.sampled_from([0.2, 0.25, 0.201, 0.3, 1.0])},
    optional={
        "probabilities": st.one_of(whole, st.just([0.75, 0.25]), st.lists(shares, max_size=6)),
        "log_density": st.sampled_from([0.0, -3.5, 12.0, float("nan"), float("-inf")]),
    },
)


def judge(kind: str, name: str, rows: list[dict[str, Any]]) -> tuple[list[int], list[int]]:
    """Places that one by one have a fault; places that are doubtful in columns."""
    log, rule = EventLog(), RULES[kind]
    space = {"action_space": rule.action_space} if name == r.ACTION else {}
    written = [getattr(log, name.lower())("a", 1, **{**space, **fields}) for fields in rows]
    contents = [CODEC.decode(record.value).record for record in written]
    faulty = [place for place, content in enumerate(contents) if fault_of(name, content, rule) is not None]
    found = COLUMNS[kind, name].read([record.value or b"" for record in written], [record.key for record in written])
    return faulty, found.doubtful


@given(kinds, st.lists(actions, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_actions(kind: str, rows: list[dict[str, Any]]) -> None:
    faulty, doubtful = judge(kind, r.ACTION, rows)
    assert doubtful == faulty


@given(kinds, st.lists(propensities, min_size=1, max_size=12))
@settings(max_examples=300, deadline=None)
def test_propensities(kind: str, rows: list[dict[str, Any]]) -> None:
    faulty, doubtful = judge(kind, r.PROPENSITY, rows)
    assert doubtful == faulty


def test_a_sum_at_the_edge_is_left_to_the_rule() -> None:
    rows = [{"probabilities": [0.2, 0.2, 0.2, 0.2, 0.2 + over]} for over in (0.0004, 0.0008, 0.0012)]
    faulty, doubtful = judge("grid", r.PROPENSITY, rows)
    assert (faulty, doubtful) == ([2], [1, 2])
