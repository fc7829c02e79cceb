"""A chunk of log records into events and faults: in columns where possible, one by one where not.

A run of records is grouped by schema id and each group is read as columns. A group that does not decode is halved
until what remains is small, and that is judged one by one; so are records written with an older schema version, whose
datums are re-encoded in the newest one. Both ways give the same events: how a log is cut into chunks has no effect.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import structlog

from event_schemas import records as r
from event_schemas.codec import HEADER, Codec, frame
from event_schemas.columnar import ColumnarFailure
from event_schemas.errors import SchemaError
from event_schemas.log_record import LogRecord
from event_schemas.registry import SchemaEntry, without_logical_types
from stream_processors.attribution import JoinRule
from stream_processors.canonical_edges import CanonicalEdges
from stream_processors.event_columns import EventColumns, EventRows
from stream_processors.event_limits import EVENT_RECORDS, fault_of
from stream_processors.input_event import EngagementFields, InputEvent, MalformedEvent
from stream_processors.record_columns import RecordColumns

log = structlog.get_logger(__name__)

ONE_BY_ONE = 16
"""Groups up to this size are judged one by one: a columnar read has a fixed cost of about that many records."""

Judged = InputEvent | MalformedEvent


class JudgedChunk:
    """A run of the log and the verdict on each record, in columns of one entry a record.

    `names` has the record's type, None where it is malformed (`faults` then says why); `times` its event time (ms);
    `engagements` the fields of an Engagement. `resolved` holds the datums of older schema versions in the newest.
    """

    __slots__ = ("chunk", "engagements", "faults", "names", "resolved", "times")

    def __init__(self, chunk: RecordColumns) -> None:
        self.chunk = chunk
        self.names: list[str | None] = [None] * len(chunk)
        self.times = [0] * len(chunk)
        self.engagements: list[EngagementFields | None] = [None] * len(chunk)
        self.resolved: dict[int, bytes] = {}
        self.faults: dict[int, MalformedEvent] = {}

    def fill(self, places: Sequence[int], name: str, rows: EventRows) -> None:
        """The verdicts on records of one type."""
        names, times, engagements = self.names, self.times, self.engagements
        for place, time in zip(places, rows.times, strict=True):
            names[place] = name
            times[place] = time
        if rows.engagements is not None:
            for place, engagement in zip(places, rows.engagements, strict=True):
                engagements[place] = engagement

    def settle(self, place: int, verdict: Judged) -> None:
        """The verdict on one record."""
        if isinstance(verdict, MalformedEvent):
            self.names[place] = None
            self.faults[place] = verdict
            return
        self.names[place], self.times[place] = verdict.name, verdict.event_time
        self.engagements[place] = verdict.engagement
        if verdict.resolved is not None:
            self.resolved[place] = verdict.resolved

    def part(self, start: int, stop: int) -> JudgedChunk:
        """The records at these places and the verdicts on them."""
        if start <= 0 and stop >= len(self.chunk):
            return self
        part = JudgedChunk(self.chunk.part(start, stop))
        part.names, part.times = self.names[start:stop], self.times[start:stop]
        part.engagements = self.engagements[start:stop]
        part.resolved = {place - start: datum for place, datum in self.resolved.items() if start <= place < stop}
        part.faults = {place - start: fault for place, fault in self.faults.items() if start <= place < stop}
        return part

    def verdict(self, place: int) -> Judged:
        """The verdict on one record as an object."""
        name, record = self.names[place], self.chunk.record(place)
        if name is None:
            return self.faults[place]
        request_id = "" if record.key is None else record.key.decode()
        times, engagement = self.times[place], self.engagements[place]
        return InputEvent(record, name, request_id, times, engagement, self.resolved.get(place))


class ChunkValidator:
    """Judges records of the events topic by the rule of one experiment."""

    def __init__(self, codec: Codec, rule: JoinRule) -> None:
        self._codec = codec
        self._rule = rule
        newest = [codec.registry.newest(name) for name in sorted(EVENT_RECORDS)]
        self._newest: dict[bytes | None, SchemaEntry] = {frame(entry.schema_id, b""): entry for entry in newest}
        self._columns = {entry.name: EventColumns(entry, rule) for entry in newest}
        self._columns_failed: set[str] = set()
        self._edges = {entry.schema_id: CanonicalEdges(without_logical_types(entry.schema)) for entry in newest}

    def judge(self, chunk: RecordColumns) -> JudgedChunk:
        """One verdict for each record, in order."""
        groups: defaultdict[bytes | None, list[int]] = defaultdict(list)
        for place, value in enumerate(chunk.values):
            groups[None if value is None else value[: HEADER.size]].append(place)
        judged = JudgedChunk(chunk)
        for framing, places in groups.items():
            entry = self._newest.get(framing)
            if entry is None:
                self._judge_each(places, judged)
            else:
                self._judge_group(entry, places, judged)
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
            engagement = (content["engagement_id"], content["kind"], content["value"])
        resolved = None if edges is not None else self._codec.encode_datum(name, content)
        return InputEvent(record, name, request_id or "", content["event_time"], engagement, resolved)

    def _judge_each(self, places: list[int], judged: JudgedChunk) -> None:
        for place in places:
            judged.settle(place, self.judge_one(judged.chunk.record(place)))

    def _judge_group(self, entry: SchemaEntry, places: list[int], judged: JudgedChunk) -> None:
        if len(places) <= ONE_BY_ONE:
            self._judge_each(places, judged)
            return
        values, keys = judged.chunk.values, judged.chunk.keys
        try:
            rows = self._columns[entry.name].read([values[at] or b"" for at in places], [keys[at] for at in places])
        except ColumnarFailure:
            middle = len(places) // 2
            self._judge_group(entry, places[:middle], judged)
            self._judge_group(entry, places[middle:], judged)
            return
        except Exception:  # no fault of ours in reading columns may stop the stream: the definition judges one by one
            if entry.name not in self._columns_failed:
                self._columns_failed.add(entry.name)
                log.exception("columns cannot be read: all are judged one by one", record=entry.name)
            self._judge_each(places, judged)
            return
        judged.fill(places, entry.name, rows)
        self._judge_each([places[row] for row in rows.doubtful], judged)


def _key_fault(key: bytes | None, request_id: str | None) -> str | None:
    if request_id is None:
        return None if key is None else f"key = {key!r}, but a Heartbeat has none"
    return None if key == request_id.encode() else f"key = {key!r} is not the request_id {request_id!r}"
