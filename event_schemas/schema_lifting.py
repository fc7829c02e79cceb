"""Lifts data of older schema versions to the newest one by appending bytes.

New fields of a record come last and have constant defaults. So the bytes of a datum in an older version, followed by
the bytes of the defaults, are the same datum in the newest version: nothing has to be decoded.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from fastavro import parse_schema, schemaless_writer


def lifting_suffix(older: Mapping[str, Any], newest: Mapping[str, Any]) -> bytes | None:
    """The bytes that make a datum of the record schema `older` one of `newest`; empty if their bytes are the same.

    None if that is not enough: a field was removed, moved or retyped, or a new one has no default.
    """
    known, fields = older["fields"], newest["fields"]
    added = fields[len(known) :]
    if _shapes(known) != _shapes(fields[: len(known)]):
        return None
    if any("default" not in field for field in added):
        return None
    sink = io.BytesIO()
    defaults = {field["name"]: field["default"] for field in added}
    schemaless_writer(sink, parse_schema({"type": "record", "name": "Added", "fields": added}), defaults)
    return sink.getvalue()


def byte_shape(schema: Any) -> Any:
    """The parts of a schema that decide its bytes: field order and types, without the names of types."""
    if isinstance(schema, list):
        return [byte_shape(branch) for branch in schema]
    if not isinstance(schema, Mapping):
        return schema
    match schema["type"]:
        case "record":
            return _shapes(schema["fields"])
        case "array":
            return ("array", byte_shape(schema["items"]))
        case "map":
            return ("map", byte_shape(schema["values"]))
        case "enum":
            return ("enum", tuple(schema["symbols"]))
        case "fixed":
            return ("fixed", schema["size"])
        case kind:
            return byte_shape(kind)


def _shapes(fields: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    return [(field["name"], byte_shape(field["type"])) for field in fields]
