"""Replays dead letters after a fix: joins their decisions offline and writes the examples that do not exist yet.

Partitions are processed one after another. The order of reading makes a replay safe while the join is running:

1. the join's commit: everything before `open_from` is final;
2. the dead letters: first the wanted request_ids, then all letters of these;
3. the events log: the records of these request_ids that it still contains;
4. the examples: which of these decisions already have one.

An event before `open_from` that has neither a letter nor an example has no effect any more. The join may still write an
example for an event after `open_from`, so its decision is left alone (`open`). Steps 2 to 4 read after step 1, so they
miss nothing that the join wrote before that commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from event_schemas.codec import Codec
from event_schemas.dead_letter import TOO_LARGE
from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from event_schemas.units import HOUR_MS
from stream_processors.audit.dead_letter_store import StoredDeadLetter, read_dead_letters
from stream_processors.audit.earlier_outputs import require_same_log
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.letter_gathering import (
    GatheredDecisions,
    LetterChoice,
    by_request_id,
    decision_of,
    key_text,
)
from stream_processors.audit.log_reader import LogRange, LogReader
from stream_processors.audit.offline_decisions import OfflineDecision, Unresolved
from stream_processors.audit.offline_join import OfflineJoin
from stream_processors.audit.replayed_examples import ReplayedExamples

LISTED = 1_000
"""At most this many decisions without an example are listed individually."""
PROGRESS_RECORDS = 2_000
CLOCKS_APART_MS = HOUR_MS
"""Append times of two partitions may come from the clocks of two brokers; reading starts earlier by this much."""

Progress = Callable[[str, int, int], None]
"""Called with what is being read, how many records have been read and how many there are."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A decision for which the replay cannot write an example, and the reason as of now."""

    request_id: str
    partition: int
    reason: str
    detail: str


@dataclass
class LetterReplaySummary:
    """Counts of what a replay did.

    `letters` were read. `foreign` ones are about topics other than the events log (a replayed file, the learner's
    examples) and are ignored; `nameless` ones are wanted but contain no request_id. The request_ids of the wanted
    letters belong to `decisions` (several for an id that was used again); `decisions` = `writable` + `exists` + `open`
    + the sum of `remaining`. `written` counts confirmed examples: all writable ones, or 0 in a dry run.
    """

    dry_run: bool
    letters: int = 0
    foreign: int = 0
    nameless: int = 0
    decisions: int = 0
    writable: int = 0
    written: int = 0
    exists: int = 0
    open: int = 0
    remaining: Counter[str] = field(default_factory=Counter)
    listed: list[Unwritten] = field(default_factory=list)

    def leave(self, left: Unwritten) -> None:
        """Count and list a decision for which no example can be written."""
        self.remaining[left.reason] += 1
        if len(self.listed) < LISTED:
            self.listed.append(left)

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return {**asdict(self), "remaining": dict(self.remaining.most_common())}


@dataclass(frozen=True)
class LetterReplay:
    """One replay: the topics to read, the join to use, and the writer of examples (None in a dry run)."""

    topics: JoinTopics
    join: OfflineJoin
    codec: Codec
    examples: ReplayedExamples | None
    progress: Progress = lambda *_: None

    def run(self, choice: LetterChoice) -> LetterReplaySummary:
        """Replay the wanted letters of every partition; raises ReplayUnconfirmed, LogReplaced and LogReader's errors.

        Replaying again, or twice at the same time, does no harm: an example that exists is not written again, and of
        two copies readers keep the first.
        """
        require_same_log(self.topics, self.codec)
        summary = LetterReplaySummary(dry_run=self.examples is None)
        settled = {p: at.open_from for p, at in self.topics.committed().items()}
        letters = self.topics.dead_letters.ranges()
        for partition in range(self.topics.events.partitions):
            if choice.takes_partition(partition) and partition in letters:
                self._replay(partition, letters[partition], settled.get(partition, 0), choice, summary)
        return summary

    def _replay(
        self, partition: int, letters: LogRange, open_from: int, choice: LetterChoice, summary: LetterReplaySummary
    ) -> None:
        gathered, first = self._gather_letters(partition, letters, choice, summary)
        if first is None:
            return
        since = self._since(partition, first)
        up_to = self._gather_log(partition, since, gathered)
        existing = self._existing(partition, since, gathered)
        for of_one_id in gathered.decisions.values():
            still_open = of_one_id.open_at(open_from)
            apart = partial(of_one_id.is_apart, with_example := existing.get(of_one_id.request_id, set()))
            for decision in self.join.decisions(of_one_id.records(), of_one_id.gone(), apart):
                summary.decisions += 1
                if decision.key in with_example or (decision.key is None and with_example):
                    summary.exists += 1
                elif decision.offsets & still_open:
                    summary.open += 1
                else:
                    self._judge(of_one_id.request_id, partition, decision, up_to, summary)
        self._confirm(partition, summary)

    def _gather_letters(
        self, partition: int, span: LogRange, choice: LetterChoice, summary: LetterReplaySummary
    ) -> tuple[GatheredDecisions, int | None]:
        """The wanted decisions with all their letters, and the lowest original offset of these letters."""
        wanted: set[str] = set()
        for stored in self._letters(partition, span):
            summary.letters += 1
            if not self._ours(partition, stored):
                summary.foreign += 1
            elif choice.takes(stored):
                request_id = decision_of(stored.letter)
                summary.nameless += request_id is None
                wanted |= {request_id} if request_id is not None else set()
        gathered, first = GatheredDecisions(sorted(wanted)), None
        for stored in self._letters(partition, span) if wanted else ():
            if self._ours(partition, stored) and decision_of(stored.letter) in wanted:
                gathered.add_letter(stored)
                offset = stored.letter["offset"]
                first = offset if first is None else min(first, offset)
        return gathered, first

    def _letters(self, partition: int, span: LogRange) -> Iterator[StoredDeadLetter]:
        return read_dead_letters(self._read(self.topics.dead_letters, partition, span), self.codec)

    def _ours(self, partition: int, stored: StoredDeadLetter) -> bool:
        """Whether the letter is about this partition of the events log; the join writes its letters nowhere else."""
        return stored.letter["topic"] == self.topics.events.topic and stored.letter["partition"] == partition

    def _since(self, partition: int, first: int) -> int | None:
        """An append time (ms) before all records of the decisions; None if the log lacks the first letter's event.

        A record of these decisions without a letter is at most one window older than the first letter's event.
        """
        record = next(self.topics.events.read({partition: self._clipped(partition, first, first + 1)}), None)
        return None if record is None else record.append_time - 2 * self.join.window_ms - CLOCKS_APART_MS

    def _gather_log(self, partition: int, since: int | None, gathered: GatheredDecisions) -> int:
        """Add the records that the log contains; return the offset up to which it was read."""
        span = self._span(self.topics.events, partition, since)
        for record in self._read(self.topics.events, partition, span):
            gathered.add_record(record)
        return span.end

    def _existing(self, partition: int, since: int | None, gathered: GatheredDecisions) -> dict[str, set[DecisionKey]]:
        """The decisions of these request_ids that have an example, by request_id."""
        span = self._span(self.topics.examples, partition, since)
        ours = (
            record
            for record in self._read(self.topics.examples, partition, span)
            if key_text(record.key) in gathered.decisions
        )
        return by_request_id(DecisionKey.of_example(self.codec.decode(record.value).record) for record in ours)

    def _judge(
        self, request_id: str, partition: int, decision: OfflineDecision, up_to: int, summary: LetterReplaySummary
    ) -> None:
        verdict = self.join.join(decision)
        if isinstance(verdict, Unresolved):
            summary.leave(Unwritten(request_id, partition, verdict.reason, verdict.detail))
            return
        summary.writable += 1
        if self.examples is not None:
            self.examples.write(verdict, up_to)

    def _confirm(self, partition: int, summary: LetterReplaySummary) -> None:
        if self.examples is None:
            return
        for decision, fault in self.examples.confirm().items():
            summary.writable -= 1
            summary.leave(
                Unwritten(decision.request_id, partition, TOO_LARGE, f"{self.examples.topic} refused it: {fault}")
            )
        summary.written = self.examples.written

    def _span(self, reader: LogReader, partition: int, since: int | None) -> LogRange:
        held = reader.ranges()[partition]
        return held if since is None else LogRange(max(held.start, reader.first_since(partition, since)), held.end)

    def _clipped(self, partition: int, start: int, end: int) -> LogRange:
        held: Mapping[int, LogRange] = self.topics.events.ranges()
        return LogRange(max(start, held[partition].start), min(end, held[partition].end))

    def _read(self, reader: LogReader, partition: int, span: LogRange) -> Iterator[LogRecord]:
        what, total = f"{reader.topic}[{partition}]", span.end - span.start
        for number, record in enumerate(reader.read({partition: span})):
            if number % PROGRESS_RECORDS == 0:
                self.progress(what, number, total)
            yield record
        self.progress(what, total, total)
