"""Validated chunks: verdicts stand beside their records, also in a part."""

from __future__ import annotations

import numpy as np

from event_schemas.log_record import LogRecord
from stream_processors.columns.event_columns import EventRows
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.rule.input_event import InputEvent, MalformedEvent

FIRST, OTHER = b"\0\0\0\0\1", b"\0\0\0\0\2"
LIFTS = {FIRST: b"!"}
"""The records of one version are lifted; those of the other were encoded again."""
RECORDS = [
    LogRecord("events", 1, offset, 0, b"k%d" % offset, (OTHER if offset == 4 else FIRST) + b"v") for offset in range(6)
]


def validated() -> ValidatedRecords:
    """An Action, two Engagements, a malformed record, a Request in a version that cannot be lifted, an Engagement."""
    chunk = ValidatedRecords(RecordColumns.of(RECORDS), LIFTS)
    chunk.fill([0], "Action", EventRows(np.array([7, 70]), None, []), 1)
    chunk.fill(
        [1, 2, 5],
        "Engagement",
        EventRows(np.array([11, 12, 15]), [("e1", "k", 1.0), ("e2", "k", 2.0), ("e5", "k", 5.0)], []),
        0,
    )
    chunk.set_verdict(3, MalformedEvent(RECORDS[3], "broken"))
    chunk.set_verdict(4, InputEvent(RECORDS[4], "Request", "k4", 14, b"newest"))
    return chunk


EXPECTED = [
    InputEvent(RECORDS[0], "Action", "k0", 70, b"v!"),
    InputEvent(RECORDS[1], "Engagement", "k1", 11, engagement=("e1", "k", 1.0)),
    InputEvent(RECORDS[2], "Engagement", "k2", 12, engagement=("e2", "k", 2.0)),
    MalformedEvent(RECORDS[3], "broken"),
    InputEvent(RECORDS[4], "Request", "k4", 14, b"newest"),
    InputEvent(RECORDS[5], "Engagement", "k5", 15, engagement=("e5", "k", 5.0)),
]


def test_verdicts_come_back_as_objects() -> None:
    assert [validated().verdict(place) for place in range(6)] == EXPECTED


def test_only_what_cannot_be_lifted_is_kept_resolved() -> None:
    chunk = validated()
    chunk.set_verdict(0, InputEvent(RECORDS[0], "Action", "k0", 70, b"v!"))
    assert chunk.resolved == {4: b"newest"}


def test_a_part_keeps_its_verdicts() -> None:
    whole = validated()
    assert whole.part(0, 6) is whole
    for start in range(6):
        part = whole.part(start, 5)
        assert [part.verdict(place) for place in range(len(part.records))] == EXPECTED[start:5]
