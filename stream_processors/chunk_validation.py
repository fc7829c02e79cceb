"""A chunk of log records into events and faults: in columns where possible, one by one where not.

A run of records is grouped by schema id and each group is read as columns. A group that does not decode is halved
until what remains is small, and that is judged one by one; so are records written with an older schema version, whose
datums are re-encoded in the newest one. Both ways give the same events: how a log is cut into chunks has no effect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec, frame
from event_schemas.columnar import ColumnarFailure
from event_schemas.errors import SchemaError
from event_schemas.log_record import LogRecord
from event_schemas.registry import SchemaEntry, without_logical_types
from stream_processors.attribution import JoinRule
from stream_processors.canonical_edges import CanonicalEdges
from stream_processors.event_columns import EventColumns
from stream_processors.event_limits import EVENT_RECORDS, fault_of
from stream_processors.input_event import EngagementFields, InputEvent, MalformedEvent

ONE_BY_ONE = 16
"""Groups up to this size are judged one by one: a columnar read has a fixed cost of about that many records."""

Judged = InputEvent | MalformedEvent


class ChunkValidator:
    """Judges records of the events topic by the rule of one experiment."""

    def __init__(self, codec: Codec, rule: JoinRule) -> None:
        self._codec = codec
        self._rule = rule
        newest = [codec.registry.newest(name) for name in sorted(EVENT_RECORDS)]
        self._newest: dict[int, SchemaEntry] = {entry.schema_id: entry for entry in newest}
        self._schema_ids = {frame(entry.schema_id, b""): entry.schema_id for entry in newest}
        self._columns = {entry.schema_id: EventColumns(entry, rule) for entry in newest}
        self._edges = {entry.schema_id: CanonicalEdges(without_logical_types(entry.schema)) for entry in newest}

    def judge(self, records: Sequence[LogRecord]) -> list[Judged]:
        """One event or fault per record, in order."""
        groups: defaultdict[bytes | None, list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            groups[None if record.value is None else record.value[: HEADER.size]].append(index)
        judged: list[Any] = [None] * len(records)
        for framing, indices in groups.items():
            schema_id = self._schema_ids.get(framing)
            if schema_id is None:
                self._judge_each(indices, records, judged)
            else:
                self._judge_group(schema_id, indices, records, judged)
        return judged

    def judge_one(self, record: LogRecord) -> Judged:
        """The event or fault in one record, by decoding it alone."""
        try:
            decoded = self._codec.decode(record.value)
        except SchemaError as fault:
            return MalformedEvent(record, fault.what)
        name, content = decoded.name, decoded.record
        request_id, event_time = content.get("request_id"), content.get("event_time")
        edges = self._edges.get(decoded.schema_id)
        datum = b"" if record.value is None else record.value[HEADER.size :]
        detail = fault_of(name, content, self._rule) or _key_fault(record.key, request_id)
        if detail is None and edges is not None and not edges.fit(datum, content):
            detail = f"{name} is not spelled canonically: an over-long number, or a union or enum index out of range"
        if detail is not None:
            return MalformedEvent(record, detail, request_id, event_time)
        engagement = None
        if name == r.ENGAGEMENT:
            engagement = EngagementFields(content["engagement_id"], content["kind"], content["value"])
        resolved = None if edges is not None else self._codec.encode_datum(name, content)
        return InputEvent(record, name, request_id or "", content["event_time"], engagement, resolved)

    def _judge_each(self, indices: list[int], records: Sequence[LogRecord], judged: list[Judged]) -> None:
        for index in indices:
            judged[index] = self.judge_one(records[index])

    def _judge_group(
        self, schema_id: int, indices: list[int], records: Sequence[LogRecord], judged: list[Judged]
    ) -> None:
        if len(indices) <= ONE_BY_ONE:
            self._judge_each(indices, records, judged)
            return
        group = [records[index] for index in indices]
        try:
            events = self._columns[schema_id].read(group)
        except ColumnarFailure:
            middle = len(indices) // 2
            self._judge_group(schema_id, indices[:middle], records, judged)
            self._judge_group(schema_id, indices[middle:], records, judged)
            return
        for index, event in zip(indices, events, strict=True):
            judged[index] = event or self.judge_one(records[index])


def _key_fault(key: bytes | None, request_id: str | None) -> str | None:
    if request_id is None:
        return None if key is None else f"key = {key!r}, but a Heartbeat has none"
    return None if key == request_id.encode() else f"key = {key!r} is not the request_id {request_id!r}"
