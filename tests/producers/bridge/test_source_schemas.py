"""Schemas of other writers: from a registry over HTTP, and from files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import SchemaReference
from fastavro import schemaless_reader, schemaless_writer

from event_schemas.errors import ComponentUnreachable, UnknownSchema
from producers.bridge.source_schemas import (
    MOST_UNKNOWN,
    UNKNOWN_SECONDS,
    RegistrySchemas,
    SourceSchemaError,
    read_schema_file,
)
from tests.components.refusing_front import refusing_front
from tests.components.schema_registry import SchemaRegistry

PIN = {"type": "record", "name": "Pin", "namespace": "shop", "fields": [{"name": "id", "type": "long"}]}
SAVE = {"type": "record", "name": "Save", "namespace": "shop", "fields": [{"name": "pin", "type": "shop.Pin"}]}
NO_AVRO = {"type": "bytes", "logicalType": "decimal", "precision": -1}
"""A registry in Java overlooks a logical type with a fault."""
PROTOBUF = 'syntax = "proto3"; message Other { int64 id = 1; }'


class Questions:
    """Counts the questions that a front passes on; with `status` set it answers all with that, or with a page."""

    def __init__(self) -> None:
        self.status: int | tuple[int, bytes] | None = None
        self.asked = 0

    def refusal(self, method: str, path: str) -> int | tuple[int, bytes] | None:
        self.asked += 1
        return self.status


@pytest.fixture
def questions() -> Questions:
    return Questions()


@pytest.fixture
def url(schema_registry: SchemaRegistry, questions: Questions) -> Iterator[str]:
    with refusing_front(questions.refusal, schema_registry.address) as address:
        yield schema_registry.url_at(address)


def test_a_schema_is_asked_for_once(url: str, schema_registry: SchemaRegistry, questions: Questions) -> None:
    schema_id = schema_registry.register("pins-value", PIN)
    schemas = RegistrySchemas(url)
    first = schemas.schema(schema_id)
    questions.status = 500
    assert schemas.schema(schema_id) is first


def test_a_schema_may_be_built_from_others(url: str, schema_registry: SchemaRegistry) -> None:
    schema_registry.register("referred-value", PIN)
    reference = SchemaReference("shop.Pin", "referred-value", 1)
    parsed = RegistrySchemas(url).schema(schema_registry.register("saves-value", SAVE, references=(reference,)))
    sink = io.BytesIO()
    schemaless_writer(sink, parsed, {"pin": {"id": 7}})
    assert schemaless_reader(io.BytesIO(sink.getvalue()), parsed, None) == {"pin": {"id": 7}}


@pytest.mark.parametrize("page", [b"<html>Log in</html>", b"null"])
def test_a_page_in_place_of_an_answer_makes_no_id_unknown(
    url: str, schema_registry: SchemaRegistry, questions: Questions, page: bytes
) -> None:
    schema_id, schemas = schema_registry.register("pins-value", PIN), RegistrySchemas(url)
    questions.status = 200, page
    with pytest.raises(ComponentUnreachable, match="no registry's answer"):
        schemas.schema(schema_id)
    questions.status = None
    assert schemas.schema(schema_id)["name"] == "shop.Pin"


def test_what_is_not_there_or_no_avro_is_unknown(url: str, schema_registry: SchemaRegistry) -> None:
    schemas = RegistrySchemas(url)
    with pytest.raises(UnknownSchema, match="4711 is not registered"):
        schemas.schema(4711)
    with pytest.raises(UnknownSchema, match="is PROTOBUF, not AVRO"):
        schemas.schema(schema_registry.register("other-value", PROTOBUF, "PROTOBUF"))
    with pytest.raises(UnknownSchema, match="is not an Avro schema"):
        schemas.schema(schema_registry.register("bad-value", NO_AVRO))


def test_an_unknown_id_is_asked_for_again_only_after_a_while(url: str, questions: Questions) -> None:
    now = [100.0]
    schemas = RegistrySchemas(url, clock=lambda: now[0])

    def asked_for(schema_id: int) -> int:
        before = questions.asked
        with pytest.raises(UnknownSchema, match=f"{schema_id} is not registered"):
            schemas.schema(schema_id)
        return questions.asked - before

    assert [asked_for(4711) for _ in range(3)] == [1, 0, 0]
    assert asked_for(4712) == 1
    now[0] += UNKNOWN_SECONDS
    assert [asked_for(4711) for _ in range(2)] == [1, 0]
    questions.status = 404
    for schema_id in range(MOST_UNKNOWN):
        asked_for(schema_id)
    assert asked_for(4711) == 1, "not all can be remembered"


def test_a_registry_in_trouble_is_unreachable(url: str, questions: Questions) -> None:
    questions.status = 500
    with pytest.raises(ComponentUnreachable, match="read schema id 1"):
        RegistrySchemas(url).schema(1)
    with pytest.raises(ComponentUnreachable, match="read schema id 1"):
        RegistrySchemas("http://127.0.0.1:1").schema(1)


def test_a_schema_file(tmp_path: Path) -> None:
    file = tmp_path / "pin.avsc"
    file.write_text(json.dumps(PIN), encoding="utf-8-sig")
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
