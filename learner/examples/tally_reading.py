"""Reads the producers' tallies from their topic.

A topic of 30 days holds millions of tallies. Of each only source and counts are decoded while reading; the tables of
days, arms and exploration spans are decoded at the end, for the newest tally of each source.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, MalformedRecord, UnknownSchema
from event_schemas.leading_fields import LeadingFields
from event_schemas.log_record import LogRecord
from event_schemas.records import TALLY
from event_schemas.slices import Slice
from learner.examples.example_source import ExampleSource
from learner.examples.learner_errors import ExamplesLost
from learner.examples.newest_tallies import NewestTallies, NewestTally
from learner.examples.slice_tallies import SliceTallies
from learner.examples.tally_tables import MOST_DECISIONS, TallyTotals, table_fault
from learner.examples.whole_topic import whole_topic
from producers.topics import TopicError

NAMED_TALLIES = 10
"""How many ignored tallies a reading names in the log."""
LONGEST_NAME = 100
UNREADABLE = "unreadable"
ABSURD = "absurd"
log = structlog.get_logger(__name__)


@dataclass
class _Reading:
    """The newest tally of each source, the number of ignored records by reason, and the event times (ms) at which
    partitions begin of which older tallies have been deleted."""

    newest: NewestTallies = field(default_factory=NewestTallies)
    left_out: dict[str, int] = field(default_factory=lambda: {UNREADABLE: 0, ABSURD: 0})
    partitions: set[int] = field(default_factory=set)
    begins: dict[int, int] = field(default_factory=dict)

    def begin(self, record: LogRecord, event_time: int) -> None:
        """Note where a partition begins, if older tallies of it have been deleted."""
        if record.partition not in self.partitions and record.offset > 0:
            self.begins[record.partition] = event_time
        self.partitions.add(record.partition)

    def leave_out(self, reason: str, record: LogRecord, **why: object) -> None:
        """Count an ignored record, and log it if it is one of the first."""
        self.left_out[reason] += 1
        if sum(self.left_out.values()) <= NAMED_TALLIES:
            log.warning("tally left out", reason=reason, partition=record.partition, offset=record.offset, **why)


def read_tallies(source: ExampleSource, codec: Codec, clock: Callable[[], float] = time.monotonic) -> SliceTallies:
    """Sum the newest tally of each source, from the start of the topic to its current end.

    Tallies are cumulative, so only the newest of each source counts. One that cannot be read, or has impossible counts,
    is ignored, counted and logged; the previous valid one of the source counts instead. If it is the tables of the
    newest that are impossible, the counts by slice of the one before it count, and its tables are unknown. Raises
    ComponentUnreachable, also if nothing comes for 30 s although the log has more, and RightMissing. An absent topic is
    only logged.
    """
    reading, leading = _Reading(), LeadingFields(codec, TALLY, ("event_time", "source", "counts"))
    try:
        for records in whole_topic(source, "tally", clock):
            for record in records:
                _take_in(record, leading, reading)
    except ExamplesLost as fault:  # no offsets of this topic are stored, so the next reading starts afresh
        raise ComponentUnreachable(
            f"the tallies changed while they were read: {fault.what}", fix="the next run reads them again"
        ) from fault
    except TopicError as fault:  # a run without tallies is still a run; its evaluation says what it could not check
        log.warning("no tallies are read", what=fault.what, fix=fault.fix)
    totals = TallyTotals(kept_from=max(reading.begins.values(), default=None))
    for source_name, newest in reading.newest:
        _add_up(source_name, newest, codec, reading, totals)
    if (unnamed := sum(reading.left_out.values()) - NAMED_TALLIES) > 0:
        log.warning("more tallies left out", tallies=unnamed)
    if reading.newest.let_go:
        log.warning("tables of tallies let go to save memory", tallies=reading.newest.let_go)
    return totals.result(reading.left_out)


def _take_in(record: LogRecord, leading: LeadingFields, reading: _Reading) -> None:
    try:
        tally = leading.read(record.value)
    except (MalformedRecord, UnknownSchema) as fault:
        reading.leave_out(UNREADABLE, record, what=fault.what[:LONGEST_NAME])
        return
    reading.begin(record, tally["event_time"])
    source, rows = tally["source"], tally["counts"]
    refused = _refused_count(rows)
    if refused is None:
        counts = {row["slice"]: row["count"] for row in rows}
        reading.newest.add(source, counts, record, max(0, tally["event_time"]))
    else:
        name, value = refused["slice"][:LONGEST_NAME], refused["count"]
        reading.leave_out(ABSURD, record, source=source[:LONGEST_NAME], slice=name, value=value)


def _add_up(source: str, newest: NewestTally, codec: Codec, reading: _Reading, totals: TallyTotals) -> None:
    """Add the newest tally of a source, or if its tables are no good, the counts of the one before it."""
    if newest.record is None:
        totals.add_undated(newest.counts, newest.event_time)
        return
    try:
        tally = codec.decode(newest.record.value).record
    except MalformedRecord as fault:
        reading.leave_out(UNREADABLE, newest.record, what=fault.what[:LONGEST_NAME])
        totals.add_undated(newest.counts_before or {}, newest.event_time)
        return
    fault_found = table_fault(newest.counts, tally["arms"], tally["spans"])
    if fault_found is None:
        totals.add(newest.counts, tally["arms"], tally["spans"], told_at=newest.event_time)
        return
    reading.leave_out(ABSURD, newest.record, source=source[:LONGEST_NAME], what=fault_found)
    totals.add_undated(newest.counts_before or {}, newest.event_time)


def _refused_count(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first impossible count: of an unknown slice, of a slice named before, or out of bounds; else None."""
    not_named = set(Slice)
    for row in rows:
        if row["slice"] not in not_named or not 0 <= row["count"] <= MOST_DECISIONS:
            return row
        not_named.remove(row["slice"])
    return None
