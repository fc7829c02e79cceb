"""Records to bytes and back: Avro datums in the Confluent wire format (0x00, big-endian int32 schema id, datum)."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastavro import schemaless_reader, schemaless_writer

from event_schemas.errors import MalformedRecord, UnknownSchema
from event_schemas.records import Record
from event_schemas.registry import Registry, without_logical_types
from event_schemas.schema_lifting import lifting_suffix

MAGIC = 0
HEADER = struct.Struct(">bI")
ADDRESS = re.compile(r" from <[^>]* object at 0x[0-9a-f]+>")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded datum: its record name, the writer's schema id and version, and the record in this release's shape."""

    name: str
    schema_id: int
    version: int
    record: Record


def frame(schema_id: int, datum: bytes) -> bytes:
    """The datum preceded by its 5-byte Confluent header."""
    return HEADER.pack(MAGIC, schema_id) + datum


def unframe(framed: bytes | None) -> tuple[int, bytes]:
    """Schema id and datum of a framed value; raises MalformedRecord."""
    if framed is None or len(framed) < HEADER.size:
        size = "null" if framed is None else f"{len(framed)} bytes"
        raise MalformedRecord(
            f"value is {size}; a framed datum has at least {HEADER.size}", fix="write Confluent framing"
        )
    magic, schema_id = HEADER.unpack_from(framed)
    if magic != MAGIC:
        raise MalformedRecord(f"first byte is {magic}, not 0", fix="write Confluent framing: 0x00, schema id, datum")
    return schema_id, framed[HEADER.size :]


class Codec:
    """Encodes with the newest schema that ships, decodes every known version into the shape of that one."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    @cached_property
    def lifts(self) -> Mapping[bytes, bytes]:
        """By the framing of a value: the bytes after its datum that make it one of the newest version that ships.

        Has every version whose data can be lifted so; for the newest ones these are no bytes.
        """
        found: dict[bytes, bytes] = {}
        for entry in self.registry.entries():
            with suppress(UnknownSchema):
                newest = self.registry.newest(entry.name)
                suffix = lifting_suffix(without_logical_types(entry.schema), without_logical_types(newest.schema))
                if suffix is not None:
                    found[frame(entry.schema_id, b"")] = suffix
        return found

    def schema_id(self, name: str) -> int:
        """Id of the newest version of record `name` that ships; raises UnknownSchema."""
        return self.registry.schema_id(name)

    def encode(self, name: str, record: Mapping[str, Any]) -> bytes:
        """Framed bytes of `record`; raises MalformedRecord naming the record and the fault."""
        return frame(self.schema_id(name), self.encode_datum(name, record))

    def encode_datum(self, name: str, record: Mapping[str, Any]) -> bytes:
        """Bare Avro bytes of `record` under the newest schema; raises MalformedRecord."""
        sink = io.BytesIO()
        try:
            schemaless_writer(sink, self.registry.newest(name).physical, dict(record))
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError, struct.error) as fault:
            raise MalformedRecord(
                f"{name} cannot be encoded: {fault}",
                fix=f"fill every field of event_schemas/avsc/{name} with its type",
            ) from fault
        return sink.getvalue()

    def decode(self, framed: bytes | None) -> Decoded:
        """The record in a framed value; raises UnknownSchema or MalformedRecord."""
        schema_id, datum = unframe(framed)
        entry = self.registry.entry(schema_id)
        return Decoded(entry.name, schema_id, entry.version, self.decode_datum(schema_id, datum))

    def decode_datum(self, schema_id: int, datum: bytes) -> Record:
        """The record in a bare datum, resolved to the newest version; raises UnknownSchema or MalformedRecord.

        Bytes left over after the datum make it malformed: they mean that writer and schema disagree.
        """
        entry = self.registry.entry(schema_id)
        newest = self.registry.newest(entry.name)
        reader = None if newest is entry else newest.physical
        source = io.BytesIO(datum)
        try:
            record = schemaless_reader(source, entry.physical, reader)
        except Exception as fault:  # fastavro raises many types on bad bytes; all of them mean the same here
            raise MalformedRecord(
                f"{entry.name} v{entry.version} cannot be decoded: {type(fault).__name__}: {_reason(fault)}",
                fix="write the datum with the schema its id names",
            ) from fault
        if source.tell() != len(datum):
            raise MalformedRecord(
                f"{entry.name} v{entry.version} leaves {len(datum) - source.tell()} of {len(datum)} bytes unread",
                fix="write the datum with the schema its id names",
            )
        if not isinstance(record, dict):
            raise MalformedRecord(f"{entry.name} v{entry.version} is not a record", fix="write a record")
        return record

    def newest_datum(self, framed: bytes, decoded: Decoded) -> bytes:
        """The datum of a framed value in the newest schema: as it came and lifted, or else `decoded` encoded again."""
        suffix = self.lifts.get(framed[: HEADER.size])
        if suffix is None:
            return self.encode_datum(decoded.name, decoded.record)
        return framed[HEADER.size :] + suffix


def _reason(fault: Exception) -> str:
    """fastavro's message without memory addresses, so that the same bytes always give the same message."""
    return ADDRESS.sub("", str(fault))
