"""Canonical edges: over-long numbers and stray union or enum indices are seen, whatever a decoder makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from event_schemas.codec import HEADER
from event_schemas.errors import SchemaError
from event_schemas.registry import without_logical_types
from stream_processors.rule.canonical_edges import CanonicalEdges
from tests.stream_processors.event_log import CODEC, EventLog

EDGES = {
    name: CanonicalEdges(without_logical_types(CODEC.registry.newest(name).schema))
    for name in ("Request", "Action", "Propensity", "Engagement")
}


def fits(name: str, datum: bytes) -> bool:
    return EDGES[name].is_canonical(datum, CODEC.decode_datum(CODEC.schema_id(name), datum))


def datum(value: bytes | None) -> bytes:
    return (value or b"")[HEADER.size :]


def test_what_the_codec_writes_fits() -> None:
    log = EventLog()
    log.decision("a", 5)
    log.engagement("a", 5, item_id="pin")
    assert all(fits(CODEC.decode(record.value).name, datum(record.value)) for record in log.records)


def test_a_union_index_from_the_end_does_not_fit() -> None:
    good = datum(EventLog().engagement("a", 5, item_id="pin").value)
    bad = good.replace(b"\x02\x06pin", b"\x01\x06pin")
    assert CODEC.decode_datum(CODEC.schema_id("Engagement"), bad)["item_id"] == "pin"
    assert not fits("Engagement", bad)


def test_an_enum_index_from_the_end_does_not_fit() -> None:
    good = datum(EventLog().action("a", 5).value)
    bad = good[:3] + b"\x01" + good[4:]
    assert CODEC.decode_datum(CODEC.schema_id("Action"), bad)["slice"] == "FALLBACK"
    assert not fits("Action", bad)


def test_an_over_long_number_does_not_fit() -> None:
    good = datum(EventLog().action("a", 5).value)
    bad = good[:2] + b"\x8a\x00" + good[3:]
    assert CODEC.decode_datum(CODEC.schema_id("Action"), bad)["event_time"] == 5
    assert not fits("Action", bad)


def test_a_record_without_unions_and_enums_is_not_checked() -> None:
    assert EDGES["Propensity"].head_fields == EDGES["Propensity"].tail_fields == ()
    fields = [{"name": "xs", "type": {"type": "array", "items": "long"}}, {"name": "n", "type": "long"}]
    assert CanonicalEdges({"name": "R", "fields": fields}).is_canonical(b"any bytes", {})


def test_the_edges_are_what_comes_before_the_first_array_and_after_the_last() -> None:
    union, array = ["null", "string"], {"type": "array", "items": "long"}
    kinds = {"a": union, "b": "long", "c": array, "d": "string", "e": array, "f": "long", "g": union}
    edges = CanonicalEdges({"name": "R", "fields": [{"name": name, "type": kind} for name, kind in kinds.items()]})
    assert (edges.head_fields, edges.tail_fields) == (("a", "b"), ("f", "g"))


@pytest.mark.parametrize(
    "kind",
    [
        {"type": "array", "items": ["null", "string"]},
        {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["A"]}},
        {"type": "array", "items": "NamedBefore"},
        {
            "type": "array",
            "items": {
                "type": "record",
                "name": "Item",
                "fields": [{"name": "n", "type": "long"}, {"name": "x", "type": ["null", "string"]}],
            },
        },
        ["null", {"type": "array", "items": "long"}],
    ],
)
def test_a_union_or_enum_inside_an_array_and_a_nullable_array_are_refused(kind: Any) -> None:
    with pytest.raises(SchemaError, match=r"R\.xs"):
        CanonicalEdges({"name": "R", "fields": [{"name": "xs", "type": kind}]})
