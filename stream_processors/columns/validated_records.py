"""Records of the log and what validation says of each of them, in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from event_schemas import records as r
from event_schemas.codec import HEADER
from stream_processors.columns.array_types import Claims
from stream_processors.columns.event_columns import EventRows
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.rule.input_event import EngagementFields, InputEvent, MalformedEvent

Validated = InputEvent | MalformedEvent

MALFORMED, REQUEST, ACTION, PROPENSITY, RANKING, ENGAGEMENT, HEARTBEAT = range(7)
"""Codes of what a record is."""
NAMES = (None, r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING, r.ENGAGEMENT, r.HEARTBEAT)
"""The record type of each code."""
CODES = {name: code for code, name in enumerate(NAMES)}


class ValidatedRecords:
    """Records of the log and the verdict on each of them, in columns with one entry for each record.

    `codes` says what a record is, `times` its event time (ms; 0 where it is malformed), `engagements` the fields of an
    Engagement, and `claims` those of an Action or a Propensity (`rule.claims`). `faults` says by place why a record is
    malformed. `resolved` holds by place the datum in the newest schema of a part whose version `lifts`
    (`Codec.lifts`) does not have.
    """

    __slots__ = ("claims", "codes", "engagements", "faults", "lifts", "records", "resolved", "times")

    def __init__(self, records: RecordColumns, lifts: Mapping[bytes, bytes]) -> None:
        self.records = records
        self.lifts = lifts
        self.codes = np.zeros(len(records), np.uint8)
        self.times = np.zeros(len(records), np.int64)
        self.engagements: list[EngagementFields | None] = [None] * len(records)
        self.claims: Claims = np.zeros(len(records), np.uint8)
        self.resolved: dict[int, bytes] = {}
        self.faults: dict[int, MalformedEvent] = {}

    def fill(self, places: Sequence[int], name: str, rows: EventRows, start: int) -> None:
        """Sets the verdicts on records of one type to the rows from `start` on. `set_verdict` defines what they are."""
        stop, at = start + len(places), np.array(places)
        self.codes[at] = CODES[name]
        self.times[at] = rows.times[start:stop]
        if rows.claims is not None:
            self.claims[at] = rows.claims[start:stop]
        if rows.engagements is not None:
            engagements = self.engagements
            for place, engagement in zip(places, rows.engagements[start:stop], strict=True):
                engagements[place] = engagement

    def set_verdict(self, place: int, verdict: Validated) -> None:
        """Sets the verdict on one record."""
        if isinstance(verdict, MalformedEvent):
            self.codes[place], self.times[place], self.claims[place] = MALFORMED, 0, 0
            self.faults[place] = verdict
            return
        self.codes[place], self.times[place] = CODES[verdict.name], verdict.event_time
        self.engagements[place], self.claims[place] = verdict.engagement, verdict.claims
        if verdict.datum and (verdict.record.value or b"")[: HEADER.size] not in self.lifts:
            self.resolved[place] = verdict.datum

    def part(self, start: int, stop: int) -> ValidatedRecords:
        """The records at these places and the verdicts on them."""
        if start <= 0 and stop >= len(self.records):
            return self
        part = ValidatedRecords(self.records.part(start, stop), self.lifts)
        part.codes, part.times = self.codes[start:stop], self.times[start:stop]
        part.engagements, part.claims = self.engagements[start:stop], self.claims[start:stop]
        part.resolved = {place - start: datum for place, datum in self.resolved.items() if start <= place < stop}
        part.faults = {place - start: fault for place, fault in self.faults.items() if start <= place < stop}
        return part

    def name(self, place: int) -> str | None:
        """The type of one record; None when it is malformed."""
        return NAMES[self.codes[place]]

    def verdict(self, place: int) -> Validated:
        """The verdict on one record as an object."""
        name, record = self.name(place), self.records.record(place)
        if name is None:
            return self.faults[place]
        request_id = "" if record.key is None else record.key.decode()
        time, engagement = int(self.times[place]), self.engagements[place]
        return InputEvent(record, name, request_id, time, self._datum(place), engagement, int(self.claims[place]))

    def _datum(self, place: int) -> bytes:
        """The datum in the newest schema, if the record is a part of a decision."""
        value = self.records.values[place]
        if value is None or not REQUEST <= self.codes[place] <= RANKING:
            return b""
        resolved = self.resolved.get(place)
        return value[HEADER.size :] + self.lifts[value[: HEADER.size]] if resolved is None else resolved
