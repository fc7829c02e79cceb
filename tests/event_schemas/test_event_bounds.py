"""The one rule for values, and that what passes it is nothing that the join refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.event_bounds import (
    LONGEST_ID,
    MOST_VALUE,
    amount_fault,
    engagement_fault,
    identifier_fault,
    kind_fault,
    meant_by,
    request_id_fault,
    unit_fault,
)
from stream_processors.rule.event_limits import fault_of
from tests.stream_processors.event_log import small_experiment, small_rule

NOW = 1_795_000_000_000
DECLARED = ("click", "CORE", "Save")
texts = st.one_of(st.text(max_size=5), st.sampled_from(["click", "Click", " tap", "..", "a/../b", "x" * 257, "\n"]))
times = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([NOW, NOW // 1000, NOW * 1000]))


@given(texts, texts, texts, times, st.floats())
def test_what_may_be_written_the_join_takes(
    request_id: str, engagement_id: str, kind: str, event_time: int, value: float
) -> None:
    record: Any = {
        "engagement_id": engagement_id,
        "request_id": request_id,
        "event_time": event_time,
        "kind": kind,
        "item_id": None,
        "value": value,
    }
    fault = engagement_fault(record, small_experiment().kinds, NOW)
    refused = fault_of(r.ENGAGEMENT, record, small_rule())
    assert fault is not None or refused is None
    assert fault is None or (fault.what and fault.fix)


@pytest.mark.parametrize("text", ["a", "x" * LONGEST_ID, "ä/b c", ".a", "..."])
def test_ids_that_do(text: str) -> None:
    assert request_id_fault(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        (" \t", "is blank"),
        ("x" * (LONGEST_ID + 1), "has 257 characters"),
        ("a\n", "control characters"),
        ("a\x85", "control characters"),
        ("..", "cannot be part of a URL"),
        ("a/./b", "cannot be part of a URL"),
    ],
)
def test_ids_that_do_not(text: str, words: str) -> None:
    fault = request_id_fault(text)
    assert fault is not None and words in fault.what
    other = identifier_fault("kind", text)
    assert (other is None) == ("URL" in words)


@pytest.mark.parametrize(
    ("kind", "alike"), [("Click", "click"), (" click ", "click"), ("core", "CORE"), ("SAVE", "Save"), ("core ", "CORE")]
)
def test_a_slip_of_a_declared_name_is_refused_with_the_name(kind: str, alike: str) -> None:
    assert meant_by(kind, DECLARED) == alike
    assert kind_fault(kind, DECLARED) == (f"kind = {kind!r} is not declared, but {alike!r} is", f"write {alike!r}")


@pytest.mark.parametrize("kind", ["click", "CORE", "hide", "click2"])
def test_declared_kinds_and_quite_other_ones_may_be_sent(kind: str) -> None:
    assert kind_fault(kind, DECLARED) is None


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-300, MOST_VALUE, 3])
def test_amounts_that_do(value: float) -> None:
    assert amount_fault("value", value) is None


@pytest.mark.parametrize("value", [-1e-300, -1.0, 1.001e12, float("inf"), float("nan")])
def test_amounts_that_do_not(value: float) -> None:
    assert str(amount_fault("value", value)) == (
        f"value = {value!r} is not between 0 and 1e+12 | fix: write an amount of 0 or more"
    )


@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "seconds"), (1e3, "microseconds"), (1e6, "nanoseconds")])
@given(at=st.integers(NOW - 9 * 365 * 86_400_000, NOW))
def test_a_time_in_another_unit_is_called_so(factor: float, unit: str, at: int) -> None:
    fault = unit_fault("event_time", int(at * factor), NOW)
    assert fault is not None and unit in fault.what


@pytest.mark.parametrize("at", [NOW, NOW - 1, NOW + 3_600_000, 0, 1_000, -5, 2**62])
def test_a_time_that_no_unit_explains_is_left_to_the_join(at: int) -> None:
    assert unit_fault("event_time", at, NOW) is None
