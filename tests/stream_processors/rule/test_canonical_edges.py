"""Canonical edges: over-long numbers and stray union or enum indices are seen, whatever a decoder makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from event_schemas.codec import HEADER, Decoded
from event_schemas.errors import SchemaError
from event_schemas.registry import without_logical_types
from stream_processors.rule.canonical_edges import CanonicalEdges
from tests.stream_processors.event_log import CODEC, EventLog

EDGES = {
    (entry.name, entry.version): CanonicalEdges(without_logical_types(entry.schema))
    for entry in CODEC.registry.entries()
    if entry.name in ("Request", "Action", "Propensity", "Ranking", "Engagement")
}
both_versions = pytest.mark.parametrize("version", ["first", "newest"])


def fits(value: bytes) -> bool:
    decoded: Decoded = CODEC.decode(value)
    return EDGES[decoded.name, decoded.version].is_canonical(value[HEADER.size :], decoded.record)


def action(version: str, **fields: Any) -> bytes:
    return EventLog().action("a", 5, version=version, **fields).value or b""


@both_versions
def test_what_the_codec_writes_fits(version: str) -> None:
    log = EventLog()
    for part in ("request", "action", "propensity", "ranking"):
        getattr(log, part)("a", 5, version=version)
    log.action("a", 5, eligible=[0, 2], shadow_weights=[1.0], version=version)
    log.propensity("a", 5, probabilities=[0.2] * 5, log_density=0.5, exploration="d", version=version)
    log.engagement("a", 5, item_id="pin")
    assert all(fits(record.value or b"") for record in log.records)


def test_a_union_index_from_the_end_does_not_fit() -> None:
    good = EventLog().engagement("a", 5, item_id="pin").value or b""
    bad = good.replace(b"\x02\x06pin", b"\x01\x06pin")
    assert CODEC.decode(bad).record["item_id"] == "pin"
    assert not fits(bad)


@both_versions
def test_a_union_index_from_the_end_after_the_arrays_does_not_fit(version: str) -> None:
    good = action(version, fallback_reason="why")
    bad = good.replace(b"\x02\x06why", b"\x01\x06why")
    assert CODEC.decode(bad).record["fallback_reason"] == "why"
    assert fits(good)
    assert not fits(bad)


def test_a_union_index_from_the_end_of_a_propensity_does_not_fit() -> None:
    good = EventLog().propensity("a", 5, exploration="why").value or b""
    bad = good.replace(b"\x02\x06why", b"\x01\x06why")
    assert CODEC.decode(bad).record["exploration"] == "why"
    assert fits(good)
    assert not fits(bad)


@both_versions
def test_an_enum_index_from_the_end_does_not_fit(version: str) -> None:
    good = action(version)
    bad = good[:8] + b"\x01" + good[9:]
    assert CODEC.decode(bad).record["slice"] == "FALLBACK"
    assert not fits(bad)


@both_versions
def test_an_over_long_number_does_not_fit(version: str) -> None:
    good = action(version)
    bad = good[:7] + b"\x8a\x00" + good[8:]
    assert CODEC.decode(bad).record["event_time"] == 5
    assert not fits(bad)


@pytest.mark.parametrize("field", ["eligible", "shadow_weights"])
def test_an_array_in_blocks_fits_on_both_sides_of_the_tail(field: str) -> None:
    """A negative count, then how many bytes the items have: legal in Avro, and no writer of ours does it."""
    good = action("newest", eligible=[2], shadow_weights=[1.5])
    items = b"\x04" if field == "eligible" else ONE_AND_A_HALF
    plain = b"\x02" + items + b"\x00"
    assert good.count(plain) == 1
    blocks = good.replace(plain, b"\x01" + bytes([2 * len(items)]) + items + b"\x00")
    assert CODEC.decode(blocks).record == CODEC.decode(good).record
    assert fits(blocks)
    assert not fits(blocks.replace(b"\x00\x02\x00\x00", b"\x00\x82\x00\x00\x00")), "config_revision, two nulls"


ONE_AND_A_HALF = b"\x00\x00\x00\x00\x00\x00\xf8\x3f"


def test_what_cannot_be_read_up_to_the_tail_does_not_fit() -> None:
    good = action("newest")[HEADER.size :]
    row = CODEC.decode(action("newest")).record
    head = good.index(bytes([128, 1]) + row["action_space"].encode()) - len(b"\x00\x02") - 9
    assert EDGES["Action", 2].is_canonical(good, row)
    assert not EDGES["Action", 2].is_canonical(good[:head], row)


def test_a_record_without_unions_and_enums_is_not_checked() -> None:
    for record in (("Ranking", 1), ("Propensity", 1)):
        assert EDGES[record].head_fields == EDGES[record].tail_fields == ()
    fields = [{"name": "xs", "type": {"type": "array", "items": "long"}}, {"name": "n", "type": "long"}]
    assert CanonicalEdges({"name": "R", "fields": fields}).is_canonical(b"any bytes", {})


def test_the_edges_are_what_comes_before_the_first_array_and_after_the_last() -> None:
    union, array = ["null", "string"], {"type": "array", "items": "long"}
    kinds = {"a": union, "b": "long", "c": array, "d": "string", "e": array, "f": "long", "g": union}
    edges = CanonicalEdges({"name": "R", "fields": [{"name": name, "type": kind} for name, kind in kinds.items()]})
    assert (edges.head_fields, edges.tail_fields) == (("a", "b"), ("f", "g"))


def test_the_tail_ends_at_the_arrays_after_it() -> None:
    assert EDGES["Action", 1].tail_fields == EDGES["Action", 2].tail_fields
    assert EDGES["Action", 2].tail_fields[-1] == "fallback_reason"
    assert EDGES["Request", 2].tail_fields == EDGES["Request", 1].tail_fields == ()
    assert EDGES["Propensity", 2].tail_fields == ("log_density", "exploration")


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
