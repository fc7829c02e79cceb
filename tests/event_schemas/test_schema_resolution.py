"""What counts as readable is what fastavro reads, on generated versions and generated data."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.utils import generate_many

from event_schemas.registry import Registry, SchemaEntry, schema_entry, without_logical_types
from event_schemas.schema_resolution import misfits
from tests.event_schemas.schema_mutations import Mutation, mutations

ENTRIES = Registry.bundled().entries()
UNSEEN = "in microseconds"
"""The one change that Avro reads without an error."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_each_version_reads_itself(entry: SchemaEntry) -> None:
    assert misfits(entry.schema, entry.schema) == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_what_fits_is_what_can_be_read(entry: SchemaEntry) -> None:
    generated = list(mutations(entry.schema))
    assert {mutation.fits for mutation in generated} == {True, False}
    wrong = [m.name for m in generated if (misfits(entry.schema, m.schema) == []) != m.fits]
    assert wrong == []


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_fastavro_agrees(entry: SchemaEntry) -> None:
    generated = [mutation for mutation in mutations(entry.schema) if not mutation.name.endswith(UNSEEN)]
    assert [m.name for m in generated if reads_all(entry, m) != m.fits] == []


def reads_all(entry: SchemaEntry, mutation: Mutation) -> bool:
    """Whether our schema reads data of the changed one: a few datums if it should, up to many if it should not."""
    writer = schema_entry(1, "s", 1, mutation.schema).physical
    random.seed(mutation.name)
    for datum in generate_many(writer, 5 if mutation.fits else 200):
        sink = io.BytesIO()
        schemaless_writer(sink, writer, datum)
        try:
            schemaless_reader(io.BytesIO(sink.getvalue()), writer, entry.physical)
        except Exception:  # whatever fastavro raises: this datum cannot be read
            return False
    return True


def record(*fields: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": kind} for name, kind in fields], **more}


@pytest.mark.parametrize(
    ("reader", "writer", "fault"),
    [
        (record(("a", "long")), record(("a", "string"), ("b", "int")), "a: string instead of long"),
        (record(("a", "long"), ("b", "int")), record(("b", "int")), "a: is missing"),
        (record(("a", ["null", "int"])), record(("a", ["null", "long"])), "a: long instead of null/int"),
        (
            record(("a", {"type": "array", "items": record(("x", "int"), name="I")})),
            record(("a", {"type": "array", "items": record(("x", ["int", "null"]), name="I")})),
            "a[].x: null instead of int",
        ),
        (
            record(("a", ["null", record(("x", "int"), name="I")])),
            record(("a", ["null", record(("x", "boolean"), name="I")])),
            "a.x: boolean instead of int",
        ),
        (
            record(("a", {"type": "map", "values": {"type": "fixed", "name": "F", "size": 4}})),
            record(("a", {"type": "map", "values": {"type": "fixed", "name": "F", "size": 5}})),
            "a{}: 5 bytes instead of 4",
        ),
        (
            record(("a", {"type": "enum", "name": "E", "symbols": ["A"]})),
            record(("a", {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]})),
            "a: unknown symbols B, C",
        ),
        (
            record(("a", {"type": "enum", "name": "E", "symbols": ["A"]})),
            record(("a", {"type": "enum", "name": "X", "symbols": ["A"]})),
            "a: enum X instead of E",
        ),
        (
            record(("a", {"type": "long", "logicalType": "timestamp-millis"})),
            record(("a", {"type": "int", "logicalType": "date"})),
            "a: date instead of timestamp-millis",
        ),
        (record(), record(name="S"), "record S instead of R"),
        (record(), "string", "string instead of record"),
    ],
)
def test_what_does_not_fit_is_named(reader: Any, writer: Any, fault: str) -> None:
    assert misfits(reader, writer) == [fault]


def test_a_named_type_that_is_used_again_is_compared_where_it_is_used() -> None:
    item = record(("x", "int"), name="I")
    ours = record(("a", item), ("b", "I"))
    assert misfits(ours, record(("a", item), ("b", "I"))) == []
    assert misfits(ours, record(("a", record(("x", "long"), name="I")), ("b", "I"))) == [
        "a.x: long instead of int",
        "b.x: long instead of int",
    ]


def test_a_writer_that_nests_itself_ends() -> None:
    tree = record(("a", "int"), ("below", ["null", "R"]))
    assert misfits(record(("a", "int")), tree) == []


def test_an_enum_with_a_default_takes_other_symbols() -> None:
    ours = record(("a", {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "B"}))
    assert misfits(ours, record(("a", {"type": "enum", "name": "E", "symbols": ["A", "C"]}))) == []


def test_logical_types_do_not_change_what_is_parsed() -> None:
    entry = ENTRIES[0]
    assert misfits(without_logical_types(entry.schema), entry.schema) == []
    assert parse_schema(without_logical_types(entry.schema)) == entry.physical
