"""Reads the first fields of a datum without the rest, as where the rest is long and seldom needed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from fastavro import parse_schema, schemaless_reader

from event_schemas.codec import Codec, unframe
from event_schemas.errors import MalformedRecord
from event_schemas.records import Record


class LeadingFields:
    """Reads the fields `names` of records called `record`: an Avro datum is its fields one after another.

    Faults after those fields stay unseen. A version in which other fields come first is decoded as a whole.
    """

    def __init__(self, codec: Codec, record: str, names: Sequence[str]) -> None:
        self._codec = codec
        self._record = record
        self._names = list(names)
        self._readers: dict[int, Any] = {}

    def read(self, framed: bytes | None) -> Record:
        """The fields in a framed value; raises UnknownSchema, or MalformedRecord also for a record of another name."""
        schema_id, datum = unframe(framed)
        if schema_id not in self._readers:
            self._readers[schema_id] = self._reader(schema_id)
        reader = self._readers[schema_id]
        if reader is None:
            decoded = self._codec.decode_datum(schema_id, datum)
            return {name: decoded[name] for name in self._names}
        try:
            found: Any = schemaless_reader(io.BytesIO(datum), reader, None)
        except Exception as fault:  # fastavro raises many types on bad bytes; all of them mean the same here
            raise MalformedRecord(
                f"{self._record} cannot be decoded: {type(fault).__name__}",
                fix="write the datum with the schema its id names",
            ) from fault
        return dict(found)

    def _reader(self, schema_id: int) -> Any:
        """The schema of the leading fields; None if other fields come first."""
        entry = self._codec.registry.entry(schema_id)
        if entry.name != self._record:
            raise MalformedRecord(f"a {entry.name}, not a {self._record}", fix=f"write {self._record} records here")
        leading = entry.physical["fields"][: len(self._names)]
        if [field["name"] for field in leading] != self._names:
            return None
        return parse_schema({"type": "record", "name": f"{self._record}Leading", "fields": leading})
