"""A run of the log and what validation says of each record, in columns."""

from __future__ import annotations

from collections.abc import Sequence

from stream_processors.event_columns import EventRows
from stream_processors.input_event import EngagementFields, InputEvent, MalformedEvent
from stream_processors.record_columns import RecordColumns

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

    def fill(self, places: Sequence[int], name: str, rows: EventRows, start: int) -> None:
        """The verdicts on records of one type: the rows from `start` on."""
        names, times, engagements, stop = self.names, self.times, self.engagements, start + len(places)
        for place, time in zip(places, rows.times[start:stop], strict=True):
            names[place] = name
            times[place] = time
        if rows.engagements is not None:
            for place, engagement in zip(places, rows.engagements[start:stop], strict=True):
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
