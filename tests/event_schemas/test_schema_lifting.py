"""Lifting: the bytes of an older datum and the bytes of the new fields' defaults are the newest datum."""

from __future__ import annotations

from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.registry import Registry, SchemaEntry, without_logical_types
from event_schemas.schema_lifting import byte_shape, lifting_suffix
from tests.record_samples import SAMPLES

REGISTRY = Registry.bundled()
OLDER = [entry for entry in REGISTRY.entries() if entry is not REGISTRY.newest(entry.name) and entry.name != "Example"]
DOUBLES = {"type": "array", "items": "double"}
FIELDS: list[dict[str, Any]] = [{"name": "a", "type": "string"}, {"name": "b", "type": DOUBLES}]


def record(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": list(fields)}


@pytest.mark.parametrize("entry", OLDER, ids=lambda entry: f"{entry.name}.v{entry.version}")
def test_an_older_version_of_a_record_is_lifted_by_appending_bytes(entry: SchemaEntry) -> None:
    newest = REGISTRY.newest(entry.name)
    known = {field["name"] for field in entry.schema["fields"]}
    sample = {name: value for name, value in SAMPLES[entry.name].items() if name in known}
    datum = Codec(Registry([entry])).encode_datum(entry.name, sample)
    suffix = lifting_suffix(without_logical_types(entry.schema), without_logical_types(newest.schema))
    assert suffix is not None
    codec = Codec(REGISTRY)
    assert datum + suffix == codec.encode_datum(entry.name, sample)
    assert codec.decode_datum(newest.schema_id, datum + suffix) == codec.decode_datum(entry.schema_id, datum)


def test_the_newest_version_is_lifted_by_nothing() -> None:
    schema = record(*FIELDS)
    assert lifting_suffix(schema, schema) == b""
    renamed = {**schema, "name": "Other", "doc": "The names of types and their docs are not in the bytes."}
    assert lifting_suffix(renamed, schema) == b""


def test_the_suffix_is_the_defaults_in_order() -> None:
    added: list[dict[str, Any]] = [
        {"name": "c", "type": ["null", "double"], "default": None},
        {"name": "d", "type": "string", "default": "x"},
        {"name": "e", "type": {"type": "array", "items": "long"}, "default": []},
    ]
    assert lifting_suffix(record(*FIELDS), record(*FIELDS, *added)) == b"\x00\x02x\x00"


@pytest.mark.parametrize(
    "newest",
    [
        record(*FIELDS, {"name": "c", "type": "string"}),
        record(FIELDS[0]),
        record(FIELDS[1], FIELDS[0]),
        record({"name": "a", "type": ["null", "string"]}, FIELDS[1]),
        record(FIELDS[0], {"name": "b", "type": {"type": "array", "items": "float"}}),
        record({"name": "first", "type": "string", "default": ""}, *FIELDS),
    ],
    ids=["no default", "removed", "moved", "nullable", "other items", "new in front"],
)
def test_what_bytes_at_the_end_cannot_do_is_refused(newest: dict[str, Any]) -> None:
    assert lifting_suffix(record(*FIELDS), newest) is None


def test_an_example_is_not_lifted_because_its_parts_are_in_front() -> None:
    versions = [without_logical_types(e.schema) for e in REGISTRY.entries() if e.name == "Example"]
    assert lifting_suffix(versions[0], versions[-1]) is None


def test_a_shape_tells_types_apart_and_names_not() -> None:
    enum = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
    assert byte_shape(enum) == byte_shape({**enum, "name": "F"}) != byte_shape({**enum, "symbols": ["B", "A"]})
    fixed = {"type": "fixed", "name": "X", "size": 4}
    assert byte_shape(fixed) != byte_shape({**fixed, "size": 8})
    assert byte_shape({"type": "map", "values": "long"}) != byte_shape({"type": "map", "values": "double"})
    assert byte_shape({"type": "long", "logicalType": "timestamp-millis"}) == byte_shape("long")
