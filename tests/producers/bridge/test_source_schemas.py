"""Schemas of other writers: from a registry over HTTP, and from files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastavro import schemaless_reader, schemaless_writer

from event_schemas.errors import ComponentUnreachable, UnknownSchema
from producers.bridge.source_schemas import RegistrySchemas, SourceSchemaError, read_schema_file
from tests.components.schema_registry import RegisteredSchemas, schema_registry

PIN = {"type": "record", "name": "Pin", "namespace": "shop", "fields": [{"name": "id", "type": "long"}]}
SAVE = {"type": "record", "name": "Save", "namespace": "shop", "fields": [{"name": "pin", "type": "shop.Pin"}]}
HELD = RegisteredSchemas()


@pytest.fixture
def url() -> Iterator[str]:
    with schema_registry(HELD) as address:
        yield address


def test_a_schema_is_asked_for_once(url: str) -> None:
    schema_id = HELD.register("pins-value", PIN)
    schemas = RegistrySchemas(url)
    first = schemas.schema(schema_id)
    HELD.refuses_with = 500
    try:
        assert schemas.schema(schema_id) is first
    finally:
        HELD.refuses_with = None


def test_a_schema_may_be_built_from_others(url: str) -> None:
    HELD.register("pins-value", PIN)
    references = [{"name": "shop.Pin", "subject": "pins-value", "version": 1}]
    parsed = RegistrySchemas(url).schema(HELD.register("saves-value", SAVE, references=references))
    sink = io.BytesIO()
    schemaless_writer(sink, parsed, {"pin": {"id": 7}})
    assert schemaless_reader(io.BytesIO(sink.getvalue()), parsed, None) == {"pin": {"id": 7}}


def test_what_is_not_there_or_no_avro_is_unknown(url: str) -> None:
    schemas = RegistrySchemas(url)
    with pytest.raises(UnknownSchema, match="4711 is not registered"):
        schemas.schema(4711)
    with pytest.raises(UnknownSchema, match="is PROTOBUF, not AVRO"):
        schemas.schema(HELD.register("other-value", 'syntax = "proto3";', schemaType="PROTOBUF"))
    with pytest.raises(UnknownSchema, match="is not an Avro schema"):
        schemas.schema(HELD.register("bad-value", {"type": "recor"}))


def test_a_registry_in_trouble_is_unreachable(url: str) -> None:
    HELD.refuses_with = 500
    try:
        with pytest.raises(ComponentUnreachable, match="read schema id 1"):
            RegistrySchemas(url).schema(1)
    finally:
        HELD.refuses_with = None
    with pytest.raises(ComponentUnreachable, match="read schema id 1"):
        RegistrySchemas("http://127.0.0.1:1").schema(1)


def test_a_schema_file(tmp_path: Path) -> None:
    file = tmp_path / "pin.avsc"
    file.write_text(json.dumps(PIN), encoding="utf-8")
    assert read_schema_file(file)["name"] == "shop.Pin"
    for text in ("{", '{"type": "record"}', '{"type": "nonsense"}', "[1]"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SourceSchemaError, match="not an Avro schema"):
            read_schema_file(file)
    with pytest.raises(SourceSchemaError, match="cannot be read"):
        read_schema_file(tmp_path / "nothing.avsc")


def test_ids_keep_their_spelling_and_times_their_type(tmp_path: Path) -> None:
    upper = "A" * 8 + "-AAAA-4AAA-8AAA-" + "A" * 12
    fields = [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}, "default": "x"},
        {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": None},
    ]
    file = tmp_path / "save.avsc"
    file.write_text(json.dumps({"type": "record", "name": "S", "fields": fields}), encoding="utf-8")
    parsed = read_schema_file(file)
    sink = io.BytesIO()
    schemaless_writer(sink, parsed, {"id": upper, "at": 1_700_000_000_000})
    found: Any = schemaless_reader(io.BytesIO(sink.getvalue()), parsed, None)
    assert found["id"] == upper
    assert found["at"].year == 2023
