"""The join of one partition: validated records in; examples, dead letters and a position to commit out.

Everything here is a function of the log alone: no clock, no randomness, no network. How the log is cut into chunks
affects nothing but the order of dead letters. The rule is `stream_processors.rule.reference_join`; steps 1 to 7 in this
module are those of its docstring. What differs is the order of work: plain events of a chunk are held in columns first
(`columnar_holding`), and decisions whose windows the watermark ended are closed later and many at a time.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from event_schemas.codec import Codec
from event_schemas.dead_letter import dead_letter
from event_schemas.records import DEAD_LETTER
from stream_processors.columns.validated_records import ValidatedRecords
from stream_processors.partition.commit_position import CommitPosition, CommitUnreadable
from stream_processors.partition.complete_decisions import CompleteDecisions
from stream_processors.partition.example_splicing import ExampleSplicer
from stream_processors.partition.first_offset import FirstOffset
from stream_processors.partition.pending_decisions import (
    OVERDUE,
    Expired,
    PendingDecisions,
    Rejected,
    Unfinished,
)
from stream_processors.partition.watermark_course import WatermarkCourse, watermark_course
from stream_processors.rule.fates import SILENT, Fate
from stream_processors.rule.input_event import InputEvent, MalformedEvent
from stream_processors.rule.join_rule import JoinRule, OutsideReason
from stream_processors.rule.outcome_encoding import OutcomeEncoder

EMISSIONS_AT_ONCE = 1_000
HEARD = Rejected(Fate.JOINED, "")
"""The answer to a Heartbeat, the only event without a key: it is not held, it only moves the watermark."""


class Emission(NamedTuple):
    """One record to write, to the partition its source came from.

    `value` is framed. `reason` is None for an example. `source_offset` is the offset of the request of an example, or
    of the event of a dead letter.
    """

    kind: Literal["example", "dead_letter", "heartbeat"]
    key: bytes | None
    value: bytes
    source_offset: int
    reason: Fate | None

    @property
    def request_id(self) -> str | None:
        """The key as text; None when it is not UTF-8."""
        try:
            return None if self.key is None else self.key.decode()
        except UnicodeDecodeError:
            return None


@dataclass(frozen=True, slots=True)
class StepResult:
    """What some records brought: emissions in a deterministic order, and the fates that became certain.

    `outside` has the reasons of those that are `Fate.OUTSIDE`.
    """

    emissions: tuple[Emission, ...]
    fates: Mapping[Fate, int]
    outside: Mapping[OutsideReason, int]
    examples: int


@dataclass(slots=True)
class _Step:
    """The result under construction; a `silent` one stays empty, because the state is being rebuilt."""

    silent: bool
    emissions: list[Emission] = field(default_factory=list)
    fates: Counter[Fate] = field(default_factory=Counter)
    outside: Counter[OutsideReason] = field(default_factory=Counter)
    examples: int = 0

    def result(self) -> StepResult:
        return StepResult(tuple(self.emissions), Counter(self.fates), Counter(self.outside), self.examples)

    def clear(self) -> None:
        self.emissions.clear()
        self.fates.clear()
        self.outside.clear()
        self.examples = 0


class PartitionJoin:
    """Joins the events of one partition; a new one goes on from the committed position `resume`.

    With `resume`, reading starts at `resume.rebuild_from`; records before `resume.settled` rebuild the state and give
    no results. Without it, reading starts at the first record of the log. Records seen before are skipped.
    Raises CommitUnreadable when `resume` was computed with another window.
    """

    def __init__(self, rule: JoinRule, codec: Codec, partition: int, resume: CommitPosition | None = None) -> None:
        if resume is not None and resume.window_ms != rule.window_ms:
            raise CommitUnreadable(
                f"partition {partition} was joined up to offset {resume.settled} with a window of "
                f"{resume.window_ms} ms, not {rule.window_ms} ms",
                fix="set attribution and allowed_lateness back, or give the changed experiment its own topic prefix",
            )
        self._rule = rule
        self._codec = codec
        self._splicer = ExampleSplicer(codec)
        self._outcomes = OutcomeEncoder(rule, codec, partition)
        self._pending = PendingDecisions(rule, partition, codec)
        self._pending.watermark = resume.watermark if resume else None
        self._next = resume.rebuild_from if resume else None
        self._rebuilding = resume

    @property
    def pending(self) -> int:
        """Number of open decisions."""
        return self._pending.open_count

    @property
    def oldest(self) -> FirstOffset | None:
        """Of the remembered decisions the one that began first: a restart begins to read there."""
        return self._pending.first_remembered()

    @property
    def watermark(self) -> int | None:
        """Largest event time seen (ms); None before the first."""
        return self._pending.watermark

    def steps(self, validated: ValidatedRecords) -> Iterator[StepResult]:
        """Joins records of this partition, in offset order; yields about `EMISSIONS_AT_ONCE` results at a time.

        Write each result before asking for the next: a jump of the watermark may end every open decision, and all
        their examples at once would take as much memory again. Take the iterator to its end: the state is complete
        only then.
        """
        records = validated.records
        fresh = validated if self._next is None else validated.part(records.place_of(self._next), len(records))
        if self._rebuilding is not None:
            rest = fresh.records.place_of(self._rebuilding.settled)
            for _ in self._join(fresh.part(0, rest), _Step(silent=True)):
                """These records had their effect before the restart."""
            fresh = fresh.part(rest, len(fresh.records))
            if len(fresh.records) or self._next == self._rebuilding.settled:
                self._next = self._rebuilding.settled
                self._finish_rebuild(self._rebuilding)
        step = _Step(silent=False)
        for _ in self._join(fresh, step):
            yield step.result()
            step.clear()
        yield step.result()

    def position(self) -> CommitPosition | None:
        """Where this join stands; None before the first record of a log. While it rebuilds: `resume`, unchanged.

        Commit it once every emission up to here is confirmed.
        """
        if self._rebuilding is not None:
            return self._rebuilding
        if self._next is None:
            return None
        first_open, oldest = self._pending.first_open(), self._pending.first_remembered()
        return CommitPosition(
            settled=self._next,
            open_from=first_open.offset if first_open else self._next,
            rebuild_from=oldest.offset if oldest else self._next,
            watermark=oldest.watermark if oldest else self._pending.watermark,
            floor=self._pending.floor,
            window_ms=self._rule.window_ms,
        )

    def _finish_rebuild(self, resume: CommitPosition) -> None:
        """All records before `resume.settled` are read again: closes what the cap had closed before that offset.

        From here on results count.
        """
        self._pending.close_before(resume.floor)
        self._rebuilding = None

    def _join(self, validated: ValidatedRecords, step: _Step) -> Iterator[None]:
        """Steps 1 to 7 for each record; yields now and then, for the caller to empty `step`.

        Decisions whose windows ended are closed only where something depends on it, and at the end.
        """
        chunk, pending = validated.records, self._pending
        if not len(chunk):
            return
        pending.topic = chunk.topic
        course = watermark_course(validated, pending.watermark, self._rule)
        cap = sys.maxsize if step.silent else self._rule.max_pending
        held = pending.hold_plain(validated, course, cap)
        for fate, count in ((Fate.JOINED, held.heartbeats), (Fate.DUPLICATE, held.duplicates)):
            if count and not step.silent:
                step.fates[fate] += count
        for place in held.left:
            yield from self._join_one(validated, place, course, step)
            if pending.open_count > cap:
                yield from self._end_decisions(step)
                for ended in pending.close_beyond(cap):
                    self._close(ended, True, step)
                    if len(step.emissions) >= EMISSIONS_AT_ONCE:
                        yield
        pending.watermark = course.at(len(chunk))
        yield from self._end_decisions(step)
        self._next = chunk.end

    def _join_one(
        self, validated: ValidatedRecords, place: int, course: WatermarkCourse, step: _Step
    ) -> Iterator[None]:
        """Steps 1 to 6 for one record."""
        pending, chunk = self._pending, validated.records
        pending.watermark = course.at(place)
        if not course.heard[place]:
            self._refuse(validated, place, step)
            return
        key, value, name, engagement = (
            chunk.keys[place],
            chunk.values[place],
            validated.name(place),
            validated.engagements[place],
        )
        offset, time = chunk.offsets[place], int(validated.times[place])
        rejected: Rejected | None = HEARD
        while key is not None:
            assert value is not None and name is not None, "a sound event has both"
            if engagement is not None:
                rejected = pending.hold_engagement(engagement, key, value, offset, time)
            else:
                resolved, claims = validated.resolved.get(place), int(validated.claims[place])
                rejected = pending.hold_part(name, key, (value, offset, time), resolved, claims)
            if rejected is not OVERDUE:
                break
            yield from self._end_decisions(step)
        if rejected is not None:
            self._record_rejected(validated, place, rejected, step)
        pending.watermark = course.at(place + 1)

    def _refuse(self, validated: ValidatedRecords, place: int, step: _Step) -> None:
        """The dead letter of a malformed, future or late event; none of them moves the watermark."""
        event, time, watermark = validated.verdict(place), int(validated.times[place]), self._pending.watermark
        if isinstance(event, MalformedEvent):
            self._record_fate(event, Fate.MALFORMED, event.detail, step)
        elif (ahead := time - event.record.append_time) > self._rule.max_future_skew_ms:
            self._record_fate(event, Fate.FUTURE, f"event_time {time} is {ahead} ms ahead of its append time", step)
        else:
            behind = f"event_time {time} is {(watermark or 0) - time} ms behind the watermark"
            self._record_fate(event, Fate.LATE, f"{behind}, past the window of {self._rule.window_ms} ms", step)

    def _record_rejected(self, validated: ValidatedRecords, place: int, rejected: Rejected, step: _Step) -> None:
        if rejected.fate not in SILENT:
            self._record_fate(validated.verdict(place), rejected.fate, rejected.detail, step)
        elif not step.silent:
            step.fates[rejected.fate] += 1

    def _end_decisions(self, step: _Step) -> Iterator[None]:
        for ended in self._pending.advance():
            if isinstance(ended, Expired):
                detail = f"no request came until the window of {self._rule.window_ms} ms had passed"
                self._record_fate(ended.event, Fate.ORPHAN, detail, step)
            else:
                self._close(ended, False, step)
            if len(step.emissions) >= EMISSIONS_AT_ONCE:
                yield

    def _close(self, ended: CompleteDecisions | Unfinished, early: bool, step: _Step) -> None:
        if step.silent:
            return
        if isinstance(ended, Unfinished):
            self._record_unfinished(ended, early, step)
            return
        outcomes = self._outcomes.encode(ended, self._pending.watermark if early else None)
        columns = zip(ended.keys, self._splicer.splice(ended, outcomes), ended.request_offsets, strict=True)
        step.emissions += [Emission("example", key, value, offset, None) for key, value, offset in columns]
        step.examples += len(ended.keys)
        step.fates[Fate.JOINED] += ended.joined
        for reason, number in zip(OutsideReason, ended.outside, strict=True):
            if number:
                step.fates[Fate.OUTSIDE] += number
                step.outside[reason] += number

    def _record_unfinished(self, ended: Unfinished, early: bool, step: _Step) -> None:
        request, how = ended.request, "was closed early, at the cap on open decisions," if early else "closed"
        for event in ended.events:
            engagement = event.engagement
            if request is None:
                self._record_fate(event, Fate.ORPHAN, f"decision {how} before a request came", step)
            elif engagement and not self._rule.counts(kind := engagement[1], event.event_time - request.event_time):
                self._record_fate(event, Fate.OUTSIDE, "", step)
                step.outside[self._rule.outside_reason(kind, event.event_time - request.event_time)] += 1
            else:
                self._record_fate(event, Fate.INCOMPLETE, f"decision {how} without {' and '.join(ended.missing)}", step)

    def _record_fate(self, event: InputEvent | MalformedEvent, fate: Fate, detail: str, step: _Step) -> None:
        """Counts the fate of an event and writes its dead letter, if it gets one."""
        if step.silent:
            return
        step.fates[fate] += 1
        if fate in SILENT:
            return
        record = event.record
        request_id = event.request_id or None
        letter = dead_letter(record, fate.value, detail, request_id, event.event_time)
        value = self._codec.encode(DEAD_LETTER, letter)
        step.emissions.append(Emission("dead_letter", letter["key"], value, record.offset, fate))
