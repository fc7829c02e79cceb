"""Whether a datum spells its scalar fields as Avro writers do.

An Avro decoder accepts several spellings of one value, such as an over-long number or a union index that counts from
the end. Decoders differ in which ones they accept, and a spelling that one of them refuses must not get into an
Example. The check re-encodes the scalar fields before the first and after the last array of a record and compares
bytes. All unions and enums of the events are there, and it costs a fraction of re-encoding the record.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from fastavro import parse_schema, schemaless_writer

from event_schemas.errors import SchemaError

SCALARS = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class CanonicalEdges:
    """Compares the scalar fields at both ends of a datum with their canonical spelling, for one record type.

    Raises SchemaError for a schema with a union or enum between two arrays: it could not be checked.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        fields = list(schema["fields"])
        middle = [index for index, field in enumerate(fields) if not _is_scalar(field["type"])]
        start = middle[0] if middle else len(fields)
        end = middle[-1] + 1 if middle else len(fields)
        for field in fields[start:end]:
            if _has_choice(field["type"]):
                raise SchemaError(
                    f"{schema['name']}.{field['name']}: a union or enum inside or between arrays cannot be checked",
                    fix="move the field before the first or after the last array of the record",
                )
        self._head = _segment("Head", fields[:start])
        self._tail = _segment("Tail", fields[end:])
        checked = [field for field in fields[:start] + fields[end:] if _has_choice(field["type"])]
        self.head_fields = tuple(field["name"] for field in fields[:start]) if checked else ()
        self.tail_fields = tuple(field["name"] for field in fields[end:]) if checked else ()

    def is_canonical(self, datum: bytes, row: Mapping[str, Any]) -> bool:
        """Whether `datum` begins and ends with the canonical bytes of the fields in `row`."""
        return (not self.head_fields or datum.startswith(_spell(self._head, row))) and (
            not self.tail_fields or datum.endswith(_spell(self._tail, row))
        )


def _spell(segment: Any, row: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    schemaless_writer(sink, segment, row)
    return sink.getvalue()


def _segment(name: str, fields: list[dict[str, Any]]) -> Any:
    return parse_schema({"type": "record", "name": name, "fields": fields})


def _is_scalar(kind: Any) -> bool:
    if isinstance(kind, list):
        return all(_is_scalar(branch) for branch in kind)
    if isinstance(kind, Mapping):
        return kind["type"] == "enum" or _is_scalar(kind["type"])
    return kind in SCALARS


def _has_choice(kind: Any) -> bool:
    if isinstance(kind, list):
        return True
    if not isinstance(kind, Mapping):
        return kind not in SCALARS
    if kind["type"] == "enum":
        return True
    if kind["type"] == "record":
        return any(_has_choice(field["type"]) for field in kind["fields"])
    return _has_choice(kind["items"]) if kind["type"] == "array" else _has_choice(kind["type"])
