"""Decodes many datums at once into columns, with polars' native Avro reader.

A run of datums with one schema, preceded by an Avro container header, is one Avro block. Nesting leaves no trace in
Avro's bytes, so an Example is read through a flattened schema: the fields of all parts side by side, prefixed with the
part's name. Avro does not check where a datum in a block ends, so `read_datums` puts a marker after each one, and
callers compare each row's request_id with its record key as well.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from fastavro import parse_schema, schemaless_writer

from event_schemas.errors import SchemaError
from event_schemas.records import EXAMPLE
from event_schemas.registry import SchemaEntry, without_logical_types

SYNC = b"trimtab-columnar"
HEADER_SCHEMA = {"type": "map", "values": "bytes"}
MARKER = "trimtab_marker"
NARROW: Mapping[str, Any] = {"int": pl.Int32, "array<int>": pl.List(pl.Int32)}


class ColumnarFailure(SchemaError):
    """The block cannot be decoded as a whole; decode the datums one by one to find the bad ones."""


def read_datums(entry: SchemaEntry, datums: Sequence[bytes]) -> pl.DataFrame:
    """One row per datum, in order; one column per field of the schema (an Example's fields are flattened).

    Times are integers (ms). Raises ColumnarFailure if any datum does not fit the schema: it is too long or too short
    (its marker is then misplaced), or it has an int of more than 32 bits, which polars would silently truncate. Two
    invalid encodings that no writer produces are accepted: a union index beyond its branches reads as the value, and a
    boolean byte other than 0 and 1 reads as false.
    """
    if not datums:
        return pl.DataFrame()
    schema = columnar_schema(entry)
    fields = [*_widened(schema["fields"]), {"name": MARKER, "type": "double"}]
    markers = np.arange(len(datums), dtype="<f8") + (zlib.crc32(b"".join(datums)) + 0.25)
    raw = markers.tobytes()
    block = b"".join(part for i, datum in enumerate(datums) for part in (datum, raw[8 * i : 8 * i + 8]))
    frame = BlockReader(entry.name, {**schema, "fields": fields}).read(block, len(datums))
    if not np.array_equal(frame[MARKER].to_numpy(), markers):
        raise ColumnarFailure(
            f"{len(datums)} {entry.name} datums do not end where they should", fix="decode one by one"
        )
    return _narrowed(entry.name, frame.drop(MARKER), schema)


def empty_frame(entry: SchemaEntry) -> pl.DataFrame:
    """No rows, with the columns and types that `read_datums` gives."""
    schema = columnar_schema(entry)
    return _narrowed(entry.name, BlockReader(entry.name, schema).read(b"", 0), schema)


def default_row(entry: SchemaEntry, columns: Sequence[str]) -> pl.DataFrame:
    """One row with the Avro defaults of these columns, in the types that `read_datums` gives.

    Each of the columns has a default. They come in the order of the schema; without any, there is no row.
    """
    if not columns:
        return pl.DataFrame()
    schema = without_logical_types(entry.schema)
    schema = flatten(schema) if entry.name == EXAMPLE else schema
    fields = [field for field in schema["fields"] if field["name"] in columns]
    sink = io.BytesIO()
    schemaless_writer(sink, parse_schema({**schema, "fields": fields}), {f["name"]: f["default"] for f in fields})
    kinds = [{"name": field["name"], "type": _without_defaults(field["type"])} for field in fields]
    return BlockReader(entry.name, {**schema, "fields": kinds}).read(sink.getvalue(), 1)


class BlockReader:
    """Reads Avro blocks of one schema into columns; `name` is the record name used in errors."""

    def __init__(self, name: str, schema: Mapping[str, Any]) -> None:
        self._name = name
        self._header = _header(schema)

    def read(self, block: bytes, rows: int) -> pl.DataFrame:
        """`rows` datums written one after the other, one row each; raises ColumnarFailure."""
        container = b"".join((self._header, _long(rows), _long(len(block)), block, SYNC))
        try:
            frame = pl.read_avro(io.BytesIO(container))
        except BaseException as fault:  # on some bytes polars panics, and its PanicException is a BaseException
            if isinstance(fault, (KeyboardInterrupt, SystemExit, GeneratorExit)):
                raise
            raise ColumnarFailure(
                f"{rows} {self._name} datums do not decode: {fault}", fix="decode one by one"
            ) from None
        if frame.height != rows:
            raise ColumnarFailure(f"{rows} {self._name} datums gave {frame.height} rows", fix="decode one by one")
        return frame


def columnar_schema(entry: SchemaEntry) -> dict[str, Any]:
    """The schema that polars reads the entry's datums with: without logical types, and flattened for an Example."""
    schema = _without_defaults(without_logical_types(entry.schema))
    return flatten(schema) if entry.name == EXAMPLE else dict(schema)


def _without_defaults(schema: Any) -> Any:
    """A schema without any field's default: a block holds every field, and polars refuses some defaults."""
    if isinstance(schema, Mapping):
        return {key: _without_defaults(value) for key, value in schema.items() if key != "default"}
    if isinstance(schema, list):
        return [_without_defaults(part) for part in schema]
    return schema


def flatten(example: Mapping[str, Any]) -> dict[str, Any]:
    """A record of records as one flat record: same bytes, fields named `part_field`; nullable parts stay nested."""
    fields: list[dict[str, Any]] = []
    for part in example["fields"]:
        if isinstance(part["type"], Mapping) and part["type"].get("type") == "record":
            fields += [{**field, "name": f"{part['name']}_{field['name']}"} for field in part["type"]["fields"]]
        else:
            fields.append(dict(part))
    return {"type": "record", "name": f"Flat{example['name']}", "fields": fields}


def _widened(fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The fields with every top-level int declared as a long: the bytes are the same and nothing overflows."""
    return [{**field, "type": _wide(field["type"])} for field in fields]


def _wide(kind: Any) -> Any:
    if kind == "int":
        return "long"
    if isinstance(kind, list):
        return [_wide(branch) for branch in kind]
    if isinstance(kind, Mapping) and kind["type"] == "array":
        return {**kind, "items": _wide(kind["items"])}
    return kind


def _narrowed(name: str, frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The frame with its ints cast back to 32 bits; raises ColumnarFailure for an int that does not fit."""
    kinds = {field["name"]: field["type"] for field in schema["fields"] if _wide(field["type"]) != field["type"]}
    types = {column: NARROW["array<int>" if isinstance(kind, Mapping) else "int"] for column, kind in kinds.items()}
    try:
        return frame.cast(types)
    except pl.exceptions.InvalidOperationError as fault:
        raise ColumnarFailure(f"{name} has an int of more than 32 bits: {fault}", fix="decode one by one") from None


def _header(schema: Mapping[str, Any]) -> bytes:
    sink = io.BytesIO()
    metadata = {"avro.schema": json.dumps(schema).encode(), "avro.codec": b"null"}
    schemaless_writer(sink, HEADER_SCHEMA, metadata)
    return b"Obj\x01" + sink.getvalue() + SYNC


def _long(value: int) -> bytes:
    sink = io.BytesIO()
    schemaless_writer(sink, "long", value)
    return sink.getvalue()
