"""Reads the producers' tallies from their topic."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, MalformedRecord, UnknownSchema
from event_schemas.log_record import LogRecord
from event_schemas.records import TALLY
from event_schemas.slices import Slice
from learner.examples.example_source import ExampleSource
from learner.examples.learner_errors import ExamplesLost
from learner.examples.slice_tallies import SliceTallies

POLL_RECORDS = 10_000
POLL_S = 0.2
SILENCE_S = 30.0
MOST_DECISIONS = 10**12
"""The most that one source can count in one slice: a source is one process, and 10¹² is 1,000 a second for 30 years."""
NAMED_TALLIES = 10
"""How many ignored tallies a reading names in the log."""
LONGEST_NAME = 100
UNREADABLE = "unreadable"
ABSURD = "absurd"
log = structlog.get_logger(__name__)


@dataclass
class _Reading:
    """The newest valid tally of each source, and the number of ignored records by reason."""

    newest: dict[str, Mapping[str, int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=lambda: {UNREADABLE: 0, ABSURD: 0})

    def leave_out(self, reason: str, record: LogRecord, **why: object) -> None:
        """Count an ignored record, and log it if it is one of the first."""
        self.left_out[reason] += 1
        if sum(self.left_out.values()) <= NAMED_TALLIES:
            log.warning("tally left out", reason=reason, partition=record.partition, offset=record.offset, **why)


def read_tallies(source: ExampleSource, codec: Codec, clock: Callable[[], float] = time.monotonic) -> SliceTallies:
    """Sum the newest tally of each source, from the start of the topic to its current end.

    Tallies are cumulative, so only the newest of each source counts. One that cannot be read, or has impossible counts,
    is ignored, counted and logged; the previous valid one of the source counts instead. Raises ComponentUnreachable,
    also if nothing comes for 30 s although the log has more.
    """
    reading = _Reading()
    try:
        for records in _to_end(source, clock):
            for record in records:
                _take_in(record, codec, reading)
    except ExamplesLost as fault:  # no offsets of this topic are stored, so the next reading starts afresh
        raise ComponentUnreachable(
            f"the tallies changed while they were read: {fault.what}", fix="the next run reads them again"
        ) from fault
    if (unnamed := sum(reading.left_out.values()) - NAMED_TALLIES) > 0:
        log.warning("more tallies left out", tallies=unnamed)
    totals: dict[str, int] = {}
    for counts in reading.newest.values():
        for name, count in counts.items():
            totals[name] = totals.get(name, 0) + count
    return SliceTallies(totals, reading.left_out)


def _to_end(source: ExampleSource, clock: Callable[[], float]) -> Iterator[Sequence[LogRecord]]:
    """The records of the log from its start to its current end, in batches."""
    source.start({})
    ends, last_progress = source.ends(), clock()
    while any(position < ends.get(partition, 0) for partition, position in source.positions().items()):
        records = source.poll(POLL_RECORDS, POLL_S)
        yield records
        if records:
            last_progress = clock()
        elif clock() - last_progress > SILENCE_S:
            raise ComponentUnreachable(
                f"no tally came for {SILENCE_S:g} s although the log has more",
                fix="check the broker; the next run reads them again",
            )


def _take_in(record: LogRecord, codec: Codec, reading: _Reading) -> None:
    try:
        decoded = codec.decode(record.value)
    except (MalformedRecord, UnknownSchema) as fault:
        reading.leave_out(UNREADABLE, record, what=fault.what[:LONGEST_NAME])
        return
    if decoded.name != TALLY:
        reading.leave_out(UNREADABLE, record, what=f"a {decoded.name}, not a Tally")
        return
    source, rows = decoded.record["source"], decoded.record["counts"]
    refused = _refused_count(rows)
    if refused is None:
        reading.newest[source] = {row["slice"]: row["count"] for row in rows}
    else:
        name, value = refused["slice"][:LONGEST_NAME], refused["count"]
        reading.leave_out(ABSURD, record, source=source[:LONGEST_NAME], slice=name, value=value)


def _refused_count(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first impossible count: of an unknown slice, of a slice named before, or out of bounds; else None."""
    not_named = set(Slice)
    for row in rows:
        if row["slice"] not in not_named or not 0 <= row["count"] <= MOST_DECISIONS:
            return row
        not_named.remove(row["slice"])
    return None
