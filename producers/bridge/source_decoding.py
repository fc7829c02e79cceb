"""Decodes the values of source records to plain Python data: JSON, or Avro with or without a schema id in front."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastavro import schemaless_reader

from event_schemas.bridge_section import BridgeSpec
from event_schemas.codec import unframe
from event_schemas.errors import MalformedRecord, SettingError
from event_schemas.json_fault import json_fault
from event_schemas.registry_client import SETTING as REGISTRY_SETTING
from producers.bridge.source_schemas import RegistrySchemas, read_schema_file

Decoder = Callable[[bytes], Any]
"""Value → data. Raises MalformedRecord or UnknownSchema for a value that will never be readable, and
ComponentUnreachable when the schema cannot be fetched now."""


def decoder_for(source: BridgeSpec, folder: Path, schema_registry_url: str | None) -> Decoder:
    """The decoder of one source. `folder` contains its `schema_file`; the URL is that of Trimtab's own registry.

    Raises SourceSchemaError, and SettingError when Confluent framing is declared with neither registry nor file.
    """
    if source.format == "json":
        return decode_json
    if source.schema_file is not None:
        schema = read_schema_file(folder / source.schema_file)
        if source.framing == "bare":
            return lambda value: decode_avro(schema, value)
        return framed_decoder(lambda _: schema)
    if source.schema_registry is not None:
        return framed_decoder(RegistrySchemas(source.schema_registry).schema)
    if schema_registry_url is None:
        raise SettingError(
            f"[[bridge]] {source.topic}: no registry or file gives its schemas",
            fix="set bridge.schema_registry, bridge.schema_file or TRIMTAB_SCHEMA_REGISTRY_URL",
        )
    return framed_decoder(RegistrySchemas(schema_registry_url, REGISTRY_SETTING).schema)


def framed_decoder(schema_of: Callable[[int], Any]) -> Decoder:
    """Reads Confluent framing, decoding each value with the schema that its id names."""

    def decode(value: bytes) -> Any:
        schema_id, datum = unframe(value)
        return decode_avro(schema_of(schema_id), datum)

    return decode


def decode_json(value: bytes) -> Any:
    """The JSON document in a value."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as fault:
        raise MalformedRecord(
            f"value is not JSON: {json_fault(fault)}", fix="write one JSON document per record"
        ) from fault


def decode_avro(schema: Any, datum: bytes) -> Any:
    """The data in a bare datum; raises MalformedRecord, also for leftover bytes: another schema wrote those."""
    source = io.BytesIO(datum)
    try:
        data = schemaless_reader(source, schema, None)
    except Exception as fault:  # fastavro raises many types on bad bytes; all of them mean the same here
        raise MalformedRecord(
            f"value cannot be decoded: {type(fault).__name__}: {fault}", fix="write it with the declared schema"
        ) from fault
    if source.tell() != len(datum):
        raise MalformedRecord(
            f"value leaves {len(datum) - source.tell()} of {len(datum)} bytes unread",
            fix="write it with the declared schema",
        )
    return data
