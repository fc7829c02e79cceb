"""Runs one reconciliation: reads the three topics and compares them for a range of offsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from event_schemas.codec import Codec
from event_schemas.log_record import LogRecord
from event_schemas.records import DEAD_LETTER, EXAMPLE, PENDING, Record
from stream_processors.audit.dead_letter_replay import Progress
from stream_processors.audit.earlier_outputs import require_same_log
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.log_reader import LogRange, LogUnreadable
from stream_processors.audit.offline_join import OfflineJoin
from stream_processors.audit.reconciliation import ReconcileReport, compare
from stream_processors.audit.replayed_examples import MarkedExamples
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import ReferenceResult, reference_join

Offsets = Mapping[int, int]
TOLD_EVERY = 1_000
Told = TypeVar("Told")


@dataclass(frozen=True)
class ReconcileOutcome:
    """The report, the offsets it covers, and how many of their events the join had not processed at its last commit."""

    report: ReconcileReport
    judged: Mapping[int, LogRange]
    unprocessed: int

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        judged = {str(partition): [span.start, span.end] for partition, span in self.judged.items()}
        return {**self.report.as_dict(), "judged": judged, "unprocessed": self.unprocessed}


def reconcile(
    topics: JoinTopics,
    rule: JoinRule,
    codec: Codec,
    start: Offsets,
    end: Offsets | None,
    progress: Progress = lambda *_: None,
) -> ReconcileOutcome:
    """Check the events from `start` to `end`; by default from the start of each partition's log to its end.

    The reference join always reads from the start of the log, so that it knows decisions that began before `start`. The
    result is exact if `start` is at least a window after the log's start, or is the first record ever written. Examples
    written by a replay of dead letters are checked by joining their records offline again. `progress` hears what is
    being read, and how many of how many records have been.

    Raises LogReplaced, and LogUnreadable when `start` is no longer in the log or an output topic contains records of
    another type.
    """
    require_same_log(topics, codec)
    held = topics.events.ranges()
    judged = {partition: _judged(topics.events.topic, partition, held[partition], start, end) for partition in held}
    warm_up = {partition: LogRange(held[partition].start, span.end) for partition, span in judged.items()}
    events = _told(topics.events.read(warm_up), "join events again", warm_up, progress)
    reference = reference_join(rule, codec, events)
    scope = _Scope(judged, reference.fates, codec)
    marked = MarkedExamples(codec, topics.events_id)
    written = topics.examples.ranges()
    examples = _told(topics.examples.read_with_headers(written), "read examples", written, progress)
    found = list(scope.examples(marked.noting(examples)))
    offline = marked.joined_again(topics, OfflineJoin(rule, codec))
    dead = topics.dead_letters.ranges()
    letters = scope.dead_letters(_told(topics.dead_letters.read(dead), "read dead letters", dead, progress))
    report = compare(scope.reference(reference), codec, found, letters, offline)
    processed = {p: at.settled for p, at in topics.committed().items()}
    unprocessed = sum(max(0, span.end - max(span.start, processed.get(p, 0))) for p, span in judged.items())
    return ReconcileOutcome(report, judged, unprocessed)


def _told(records: Iterable[Told], doing: str, ranges: Mapping[int, LogRange], progress: Progress) -> Iterator[Told]:
    """The records; `progress` hears of the first, of every thousandth and of the last one."""
    total, number = sum(span.end - span.start for span in ranges.values()), 0
    progress(doing, 0, total)
    for number, record in enumerate(records, start=1):
        if number % TOLD_EVERY == 0:
            progress(doing, number, total)
        yield record
    progress(doing, number, total)


@dataclass(frozen=True)
class _Scope:
    """Selects the records that belong to the checked offsets, by the position of the event they were made from.

    Outputs of events that are pending for the reference at the end of its range are ignored: the join may have read
    further.
    """

    judged: Mapping[int, LogRange]
    fates: Mapping[tuple[int, int], str]
    codec: Codec

    def reference(self, whole: ReferenceResult) -> ReferenceResult:
        fates = {place: fate for place, fate in whole.fates.items() if self._inside(*place)}
        examples = {decision: value for decision, value in whole.examples.items() if self._inside(*self._source(value))}
        outside = {place: reason for place, reason in whole.outside.items() if self._inside(*place)}
        return replace(whole, fates=fates, examples=examples, outside=outside)

    def examples(self, records: Iterable[LogRecord]) -> Iterator[LogRecord]:
        for record in records:
            outcome = self._expect(EXAMPLE, record)["outcome"]
            if self._settled(outcome["partition"], outcome["offset"]):
                yield record

    def dead_letters(self, records: Iterable[LogRecord]) -> Iterator[LogRecord]:
        for record in records:
            letter = self._expect(DEAD_LETTER, record)
            if self._settled(letter["partition"], letter["offset"]):
                yield record

    def _expect(self, name: str, record: LogRecord) -> Record:
        decoded = self.codec.decode(record.value)
        if decoded.name != name:
            raise LogUnreadable(
                f"{record.topic}[{record.partition}] has a record of type {decoded.name} at offset {record.offset},"
                f" not {name}",
                fix=f"find the program that wrote it; that topic is only for {name} records",
            )
        return decoded.record

    def _source(self, example: bytes | None) -> tuple[int, int]:
        """Partition and offset of the example's request."""
        outcome = self.codec.decode(example).record["outcome"]
        return outcome["partition"], outcome["offset"]

    def _settled(self, partition: int, offset: int) -> bool:
        return self._inside(partition, offset) and self.fates.get((partition, offset)) != PENDING

    def _inside(self, partition: int, offset: int) -> bool:
        span = self.judged.get(partition)
        return span is not None and span.start <= offset < span.end


def _judged(topic: str, partition: int, held: LogRange, start: Offsets, end: Offsets | None) -> LogRange:
    first = start.get(partition, held.start)
    if first < held.start:
        raise LogUnreadable(
            f"{topic}[{partition}] starts at offset {held.start}, after the requested {first}",
            fix=f"start at {held.start}, or better a window later; retention has deleted the earlier records",
        )
    last = held.end if end is None else min(end.get(partition, held.end), held.end)
    return LogRange(min(first, last), last)
