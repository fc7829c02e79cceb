"""Whether a datum spells its scalar fields as Avro writers do.

An Avro decoder accepts several spellings of one value, such as an over-long number or a union index that counts from
the end. Decoders differ in which ones they accept, and a spelling that one of them refuses must not get into an
Example. The check re-encodes the scalar fields before the first array of a record, and those after the last array that
comes before a union or enum, and compares bytes. All unions and enums of the events are there, and it costs a fraction
of re-encoding the record.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from event_schemas.errors import SchemaError

SCALARS = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


class CanonicalEdges:
    """Compares the scalar fields at the edges of a datum with their canonical spelling, for one record type.

    Raises SchemaError for a schema with a union or enum between two arrays that come before others: it could not be
    checked.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        fields = list(schema["fields"])
        arrays = [index for index, field in enumerate(fields) if not _is_scalar(field["type"])]
        last = max((index for index, field in enumerate(fields) if _has_choice(field["type"])), default=-1)
        start = arrays[0] if arrays else len(fields)
        end = max((index + 1 for index in arrays if index <= last), default=len(fields))
        stop = min((index for index in arrays if index >= end), default=len(fields))
        for field in fields[start:end]:
            if _has_choice(field["type"]):
                raise SchemaError(
                    f"{schema['name']}.{field['name']}: a union or enum inside or between arrays cannot be checked",
                    fix="move the field before the first or after the last array of the record",
                )
        self._head = _segment("Head", fields[:start])
        self._tail = _segment("Tail", fields[end:stop])
        self._before_tail: Any = None if stop == len(fields) else _segment("BeforeTail", fields[:end])
        self.head_fields = tuple(field["name"] for field in fields[:start]) if last >= 0 else ()
        self.tail_fields = tuple(field["name"] for field in fields[end:stop]) if last >= 0 else ()

    def is_canonical(self, datum: bytes, row: Mapping[str, Any]) -> bool:
        """Whether the edges of `datum` are the canonical bytes of the fields in `row`."""
        if self.head_fields and not datum.startswith(_spell(self._head, row)):
            return False
        if not self.tail_fields:
            return True
        tail = _spell(self._tail, row)
        return datum.endswith(tail) if self._before_tail is None else datum.startswith(tail, self._tail_start(datum))

    def _tail_start(self, datum: bytes) -> int:
        """Where the tail begins in a datum with arrays on both sides of it; its end if it cannot be read so far."""
        source = io.BytesIO(datum)
        try:
            schemaless_reader(source, self._before_tail, None)
        except Exception:  # fastavro raises many types; a datum that others can read is spelled in another way
            return len(datum)
        return source.tell()


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
