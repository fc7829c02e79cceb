"""Spliced Examples are byte for byte what the codec would have encoded."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec
from event_schemas.errors import SchemaError
from event_schemas.registry import Registry, schema_entry
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.example_splicing import ExampleSplicer
from stream_processors.partition.held_parts import NEEDED, ranking_in_example
from tests.stream_processors.event_log import CODEC, EventLog

OUTCOME_BYTES = (
    b"\x02\x0aclick"  # one objective
    + struct.pack("<dd", 2.0, 1.0)
    + b"\x01\x00"  # observed; the end of the objectives
    + b"\x00\xfa\x01\x06\x0e"  # not closed early, 125, 3, 7
)


@pytest.mark.parametrize("ranked", [True, False])
def test_splicing_equals_encoding(ranked: bool) -> None:
    log = EventLog()
    log.decision("a", 5)
    if ranked:
        log.ranking("a", 6)
    datums, contents = {}, {}
    for record in log.records:
        decoded = CODEC.decode(record.value)
        datums[decoded.name] = (record.value or b"")[HEADER.size :]
        contents[decoded.name.lower()] = decoded.record
    outcome = {
        "objectives": [{"objective": "click", "count": 2.0, "reward": 1.0, "observed": True}],
        "closed_early": False,
        "window_closed_at": 125,
        "partition": 3,
        "offset": 7,
    }
    whole = CODEC.encode(r.EXAMPLE, {"ranking": None, **contents, "outcome": outcome})
    complete = CompleteDecisions(
        keys=[b"a"],
        request_offsets=[7],
        request_times=[5],
        bodies=[b"".join((*(datums[name] for name in NEEDED), ranking_in_example(datums.get(r.RANKING))))],
        totals=[(2.0,)],
        joined=3 + ranked,
        outside=(),
    )
    assert ExampleSplicer(CODEC).splice(complete, [OUTCOME_BYTES]) == [whole]


def registry_with(name: str, change: str) -> Registry:
    entries = []
    for entry in CODEC.registry.entries():
        schema = json.loads(json.dumps(dict(entry.schema)))
        if entry.name == name and change == "field":
            schema["fields"].append({"name": "more", "type": "int", "default": 0})
        elif entry.name == name:
            schema["fields"].reverse()
        entries.append(schema_entry(entry.schema_id, entry.subject, entry.version, schema))
    return Registry(entries)


@pytest.mark.parametrize("name", [r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING])
def test_parts_newer_than_the_example_are_refused(name: str) -> None:
    with pytest.raises(SchemaError, match=f"another {name}"):
        ExampleSplicer(Codec(registry_with(name, "field")))


@pytest.mark.parametrize(
    ("name", "path", "other"),
    [
        (r.REQUEST, ["user_id"], ["string", "null"]),
        (r.REQUEST, ["user_embedding"], {"type": "array", "items": "double"}),
        (r.ACTION, ["slice", "symbols"], ["CONTROL", "EXPLORE", "POLICY", "FALLBACK"]),
        (r.ACTION, ["arm"], "long"),
        (r.ACTION, ["event_time"], {"type": "int"}),
        (r.PROPENSITY, ["propensity"], "float"),
    ],
)
def test_a_part_of_another_shape_is_refused(name: str, path: list[str], other: Any) -> None:
    """Only the Example is of the other shape: Ranking and the parts themselves are the newest."""

    def changed(example: dict[str, Any]) -> None:
        (part,) = (field["type"] for field in example["fields"] if field["name"] == name.lower())
        (field,) = (field for field in part["fields"] if field["name"] == path[0])
        if path[1:]:
            field["type"][path[1]] = other
        else:
            field["type"] = other

    with pytest.raises(SchemaError, match=f"another {name}"):
        ExampleSplicer(Codec(registry_with_example(changed)))


def test_a_ranking_that_cannot_be_missing_is_refused() -> None:
    def changed(example: dict[str, Any]) -> None:
        (ranking,) = (field for field in example["fields"] if field["name"] == "ranking")
        ranking["type"] = ranking["type"][1]

    with pytest.raises(SchemaError, match="another Ranking"):
        ExampleSplicer(Codec(registry_with_example(changed)))


def registry_with_example(change: Callable[[dict[str, Any]], None]) -> Registry:
    entries = []
    for entry in CODEC.registry.entries():
        schema = json.loads(json.dumps(dict(entry.schema)))
        if entry.name == r.EXAMPLE:
            change(schema)
            schema["fields"] = [{key: field[key] for key in ("name", "type")} for field in schema["fields"]]
        entries.append(schema_entry(entry.schema_id, entry.subject, entry.version, schema))
    return Registry(entries)


def test_another_order_of_parts_is_refused() -> None:
    with pytest.raises(SchemaError, match="fields"):
        ExampleSplicer(Codec(registry_with(r.EXAMPLE, "order")))
