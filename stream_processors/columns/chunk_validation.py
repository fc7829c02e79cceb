"""Turns chunks of log records into events and faults: in columns where possible, one by one where not.

The records are grouped by schema id and each group is read as columns. A group that does not decode is halved until the
rest is small, and the rest is validated one by one. So are records of versions that cannot be lifted to the newest one;
their datums are encoded again. Both ways give the same events: how a log is cut into chunks has no effect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, cast

import structlog
from polars.exceptions import PanicException

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec, Decoded, frame
from event_schemas.columnar import ColumnarFailure
from event_schemas.errors import SchemaError
from event_schemas.log_record import LogRecord
from event_schemas.registry import SchemaEntry, schema_entry, without_logical_types
from stream_processors.columns.event_columns import EventColumns, EventRows
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import Validated, ValidatedRecords
from stream_processors.rule.canonical_edges import CanonicalEdges
from stream_processors.rule.claims import claims_of
from stream_processors.rule.event_limits import EVENT_RECORDS, fault_of
from stream_processors.rule.input_event import InputEvent, MalformedEvent
from stream_processors.rule.join_rule import JoinRule

log = structlog.get_logger(__name__)

ONE_BY_ONE = 16
"""Groups up to this size are validated one by one: a columnar read has a fixed cost of about this many records."""


class _Segment(NamedTuple):
    """Records of one type in one of the chunks that are validated together."""

    validated: ValidatedRecords
    places: list[int]


class _Version(NamedTuple):
    """A version of a record that is read in columns."""

    name: str
    columns: EventColumns
    edges: CanonicalEdges


class ChunkValidator:
    """Validates records of the events topic by the rule of one experiment."""

    def __init__(self, codec: Codec, rule: JoinRule) -> None:
        self._codec = codec
        self._rule = rule
        self._versions = dict[bytes | None, _Version]()
        """By the framing of its values, every version whose data can be lifted to the newest one."""
        for entry in codec.registry.entries():
            framing = frame(entry.schema_id, b"")
            if entry.name in EVENT_RECORDS and framing in codec.lifts:
                first = _first_fields(codec.registry.newest(entry.name), entry)
                edges = CanonicalEdges(without_logical_types(first.schema))
                self._versions[framing] = _Version(entry.name, EventColumns(first, rule), edges)
        self._columns_failed: set[str] = set()

    def validate(self, chunk: RecordColumns) -> ValidatedRecords:
        """One verdict for each record, in order."""
        (validated,) = self.validate_all([chunk])
        return validated

    def validate_all(self, chunks: Sequence[RecordColumns]) -> list[ValidatedRecords]:
        """Does `validate` for several chunks, of any partitions: together they cost less than one by one."""
        everything = [ValidatedRecords(chunk, self._codec.lifts) for chunk in chunks]
        groups: defaultdict[bytes | None, list[_Segment]] = defaultdict(list)
        for validated in everything:
            for framing, places in _by_framing(validated.records).items():
                groups[framing].append(_Segment(validated, places))
        for framing, segments in groups.items():
            version = self._versions.get(framing)
            if version is None:
                self._judge_each(segments)
            else:
                self._judge_group(version, segments)
        return everything

    def validate_one(self, record: LogRecord) -> Validated:
        """The event or fault in one record, decoded alone. This method defines the verdicts."""
        try:
            decoded = self._codec.decode(record.value)
        except SchemaError as fault:
            return MalformedEvent(record, fault.what)
        name, content, value = decoded.name, decoded.record, record.value or b""
        request_id, event_time = content.get("request_id"), content.get("event_time")
        version = self._versions.get(value[: HEADER.size])
        detail = fault_of(name, content, self._rule) or _key_fault(record.key, request_id)
        if detail is None and version is not None:
            detail = self._spelling_fault(record, decoded, version)
        if detail is not None:
            return MalformedEvent(record, detail, request_id, event_time)
        datum, engagement = b"", None
        if name == r.ENGAGEMENT:
            engagement = (content["engagement_id"], content["kind"], content["value"])
        elif name != r.HEARTBEAT:
            datum = self._codec.newest_datum(value, decoded)
        claims = claims_of(name, content, self._rule)
        return InputEvent(record, name, request_id or "", content["event_time"], datum, engagement, claims)

    def _spelling_fault(self, record: LogRecord, decoded: Decoded, version: _Version) -> str | None:
        """Why the bytes of a datum that is lifted must not get into an Example although they decode."""
        name, value = decoded.name, record.value or b""
        if not version.edges.is_canonical(value[HEADER.size :], decoded.record):
            return f"{name} is not spelled canonically: an over-long number, or a union or enum index out of range"
        with suppress(SchemaError):
            if self._codec.encode_datum(name, decoded.record) == self._codec.newest_datum(value, decoded):
                return None
        try:
            version.columns.read([value], [record.key])
        except (ColumnarFailure, PanicException):
            return f"{name} is spelled in a way that other readers refuse: a number of more than ten bytes"
        return None

    def _judge_each(self, segments: Sequence[_Segment]) -> None:
        for validated, places in segments:
            for place in places:
                validated.set_verdict(place, self.validate_one(validated.records.record(place)))

    def _judge_group(self, version: _Version, segments: Sequence[_Segment]) -> None:
        if sum(len(places) for _, places in segments) <= ONE_BY_ONE:
            self._judge_each(segments)
            return
        try:
            rows = _read(version.columns, segments)
        except ColumnarFailure:
            for half in _halves(segments):
                self._judge_group(version, half)
            return
        except (Exception, PanicException):  # no fault in reading columns may stop the stream: one by one is exact
            if version.name not in self._columns_failed:
                self._columns_failed.add(version.name)
                log.exception("columns cannot be read: all are validated one by one", record=version.name)
            self._judge_each(segments)
            return
        start = 0
        for validated, places in segments:
            validated.fill(places, version.name, rows, start)
            start += len(places)
        members = [(validated, place) for validated, places in segments for place in places] if rows.doubtful else []
        self._judge_each([_Segment(validated, [place]) for validated, place in (members[row] for row in rows.doubtful)])


def _first_fields(newest: SchemaEntry, older: SchemaEntry) -> SchemaEntry:
    """A version that can be lifted, with its fields as the newest one spells them: the bytes are the same.

    Someone else who registered a version may spell types in any way that Avro allows.
    """
    fields = newest.schema["fields"][: len(older.schema["fields"])]
    return schema_entry(older.schema_id, older.subject, older.version, {**newest.schema, "fields": fields})


def _read(columns: EventColumns, segments: Sequence[_Segment]) -> EventRows:
    values, keys = list[bytes | None](), list[bytes | None]()
    for validated, places in segments:
        of_chunk = validated.records
        values += map(of_chunk.values.__getitem__, places)
        keys += map(of_chunk.keys.__getitem__, places)
    return columns.read(cast(list[bytes], values), keys)


def _by_framing(chunk: RecordColumns) -> Mapping[bytes | None, list[int]]:
    """The places of records by the first bytes of their values, which name the schema."""
    found: defaultdict[bytes | None, list[int]] = defaultdict(list)
    for place, value in enumerate(chunk.values):
        found[None if value is None else value[: HEADER.size]].append(place)
    return found


def _halves(segments: Sequence[_Segment]) -> tuple[Sequence[_Segment], Sequence[_Segment]]:
    if len(segments) > 1:
        middle = len(segments) // 2
        return segments[:middle], segments[middle:]
    validated, places = segments[0]
    middle = len(places) // 2
    return [_Segment(validated, places[:middle])], [_Segment(validated, places[middle:])]


def _key_fault(key: bytes | None, request_id: str | None) -> str | None:
    if request_id is None:
        return None if key is None else f"key = {key!r}, but a Heartbeat has none"
    return None if key == request_id.encode() else f"key = {key!r} is not the request_id {request_id!r}"
