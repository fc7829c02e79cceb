"""Outcomes by columns are what the codec writes one by one."""

from __future__ import annotations

import io
from typing import Any

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import SchemaError
from event_schemas.registry import Registry, schema_entry, without_logical_types
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.rule.outcome_encoding import OutcomeEncoder
from tests.stream_processors.event_log import CLICK_MS, CODEC, SAVE_MS, WINDOW_MS, small_rule

EXAMPLE = CODEC.registry.newest(r.EXAMPLE)
SCHEMA = without_logical_types(EXAMPLE.schema["fields"][-1]["type"])
Decision = tuple[int, int, tuple[float, float]]

decisions = st.lists(
    st.tuples(
        st.integers(0, 2**45),
        st.integers(-(2**50), 2**50),
        st.tuples(st.sampled_from([0.0, 1.0, 0.5, -1.0, 7.0]), st.floats(-1e300, 1e300)),
    ),
    max_size=20,
)


def columns(rows: list[Decision]) -> CompleteDecisions:
    offsets, times, totals = ([row[place] for row in rows] for place in range(3))
    return CompleteDecisions([], offsets, times, [], totals, 0, 0)  # type: ignore[arg-type]


def one_by_one(row: Decision, closed_early_at: int | None) -> bytes:
    offset, time, totals = row
    ended = time + WINDOW_MS if closed_early_at is None else closed_early_at
    objectives = [
        {"objective": name, "count": total, "reward": min(total, clip), "observed": ended - time >= attribution}
        for (name, clip, attribution), total in zip(
            [("click", 1.0, CLICK_MS), ("save", 2.5, SAVE_MS)], totals, strict=True
        )
    ]
    outcome: dict[str, Any] = {
        "objectives": objectives,
        "closed_early": closed_early_at is not None,
        "window_closed_at": ended,
        "partition": 4,
        "offset": offset,
    }
    sink = io.BytesIO()
    schemaless_writer(sink, SCHEMA, outcome)
    return sink.getvalue()


@given(decisions, st.one_of(st.none(), st.integers(0, 1000)))
def test_columns_are_encoded_as_one_by_one(rows: list[Decision], closed_early_at: int | None) -> None:
    encoder = OutcomeEncoder(small_rule(), CODEC, 4)
    assert encoder.encode(columns(rows), closed_early_at) == [one_by_one(row, closed_early_at) for row in rows]


OUTCOME_FIELDS = SCHEMA["fields"]


@pytest.mark.parametrize(
    "fields",
    [
        [{"name": "offset", "type": "long"}],
        [{**OUTCOME_FIELDS[0], "name": "other"}, *OUTCOME_FIELDS[1:]],
        [OUTCOME_FIELDS[0], *reversed(OUTCOME_FIELDS[1:])],
        [*OUTCOME_FIELDS, {"name": "more", "type": "long"}],
    ],
)
def test_an_outcome_of_other_fields_is_refused(fields: list[dict[str, Any]]) -> None:
    outcome = {"type": "record", "name": "Outcome", "fields": fields}
    example = {"type": "record", "name": "Example", "fields": [{"name": "outcome", "type": outcome}]}
    with pytest.raises(SchemaError, match="has the fields"):
        OutcomeEncoder(small_rule(), Codec(Registry([schema_entry(1, "s", 1, example)])), 0)
