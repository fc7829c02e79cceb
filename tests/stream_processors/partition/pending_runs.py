"""Pending decisions in tests: events held one by one, the watermark moved by hand, and what ends by that."""

from __future__ import annotations

from collections.abc import Iterable

from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.pending_decisions import Ended, PendingDecisions, Rejected, Unfinished
from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, EventLog, small_rule

VALIDATOR = ChunkValidator(CODEC, small_rule())


def hold(pending: PendingDecisions, log: EventLog, place: int) -> Rejected | None:
    """The answer about one record of a log, which is valid."""
    event = VALIDATOR.validate_one(log.records[place])
    assert isinstance(event, InputEvent)
    key, value, offset = event.record.key or b"", event.record.value or b"", event.offset
    if event.engagement is not None:
        return pending.hold_engagement(event.engagement, key, value, offset, event.event_time)
    return pending.hold_part(event.name, key, (value, offset, event.event_time), None, event.claims)


def holding(log: EventLog, watermark: int | None = 0) -> PendingDecisions:
    """All records of a log, held at this watermark."""
    pending = PendingDecisions(small_rule(), 0, CODEC)
    pending.watermark = watermark
    for place in range(len(log.records)):
        hold(pending, log, place)
    return pending


def advance(pending: PendingDecisions, watermark: int) -> list[Ended]:
    """What ends when the watermark moves here."""
    pending.watermark = watermark
    return list(pending.advance())


def offsets(ended: Iterable[Ended]) -> list[list[int]]:
    """The offsets of the events each end is about; of complete decisions the requests'."""
    found = []
    for end in ended:
        if isinstance(end, CompleteDecisions):
            found.append(end.request_offsets)
        else:
            found.append([event.offset for event in (end.events if isinstance(end, Unfinished) else end)])
    return found
