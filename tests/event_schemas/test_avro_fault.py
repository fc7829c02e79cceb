"""What fastavro finds wrong with a schema, in words for people."""

from __future__ import annotations

from typing import Any

import pytest
from fastavro import parse_schema
from fastavro.schema import SchemaParseException, UnknownType

from event_schemas.avro_fault import avro_fault


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, ": it has the unknown type object"),
        ({"type": "record", "name": "E", "fields": [{"name": "a", "type": "shop.Pin"}]}, ": it has the unknown type"),
        ({"type": "record", "name": "E", "fields": [7]}, ": Record field must be a dict, not int: 7"),
        ({"type": "record", "fields": []}, ': "name" is a required field missing from the schema'),
        ({"type": "x" * 1000}, ": it has the unknown type xxx"),
        ({"type": ["object", "null"]}, ""),
        ({}, ""),
    ],
)
def test_a_fault_is_told_in_few_words(schema: Any, told: str) -> None:
    with pytest.raises((SchemaParseException, UnknownType, LookupError, TypeError)) as caught:
        parse_schema(schema)
    found = avro_fault(caught.value)
    assert found.startswith(f"not an Avro schema{told}")
    assert len(found) < 130
    assert "{" not in found
