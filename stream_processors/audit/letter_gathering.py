"""Dead letters back to decisions: which ones are wanted, and all that is known of each of their decisions.

A decision's records lie in two places: as dead letters, with the original bytes, and in the events log, as far as that
still reaches. The log is preferred, because it has the append time and the bytes that a letter leaves out for their
size; where the log holds something else at that place, the topic was created anew and the letter counts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from event_schemas.dead_letter import TOO_LARGE, is_about, is_whole
from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from event_schemas.records import DeadLetterRecord
from stream_processors.audit.dead_letter_store import StoredDeadLetter
from stream_processors.rule.fates import Fate
from stream_processors.rule.input_event import InputEvent


@dataclass(frozen=True, slots=True)
class LetterChoice:
    """Which dead letters name the decisions to replay; everything unless restricted.

    `start` ≤ original offset < `end`, by partition; `since` ≤ time the letter was written < `until` (ms).
    """

    reasons: frozenset[str] = frozenset()
    request_ids: frozenset[str] = frozenset()
    partitions: frozenset[int] = frozenset()
    start: Mapping[int, int] = field(default_factory=dict)
    end: Mapping[int, int] = field(default_factory=dict)
    since: int | None = None
    until: int | None = None

    def takes_partition(self, partition: int) -> bool:
        """Whether letters of this partition may be wanted."""
        return not self.partitions or partition in self.partitions

    def takes(self, stored: StoredDeadLetter) -> bool:
        """Whether this letter is wanted."""
        letter = stored.letter
        start, end = self.start.get(letter["partition"]), self.end.get(letter["partition"])
        return (
            self.takes_partition(letter["partition"])
            and (not self.reasons or letter["reason"] in self.reasons)
            and (not self.request_ids or decision_of(letter) in self.request_ids)
            and (start is None or letter["offset"] >= start)
            and (end is None or letter["offset"] < end)
            and (self.since is None or stored.append_time >= self.since)
            and (self.until is None or stored.append_time < self.until)
        )


def decision_of(letter: DeadLetterRecord) -> str | None:
    """The request_id a letter belongs to: as the join read it, else its key; None when neither names one."""
    if letter["request_id"]:
        return letter["request_id"]
    return key_text(letter["key"])


def key_text(key: bytes | None) -> str | None:
    """A record's key as a request_id; None when it is none."""
    try:
        return key.decode() if key else None
    except UnicodeDecodeError:
        return None


@dataclass(slots=True)
class GatheredDecision:
    """What is known of one request_id in one partition, by original offset; it may have named several decisions."""

    request_id: str
    letters: dict[int, StoredDeadLetter] = field(default_factory=dict)
    log: dict[int, LogRecord] = field(default_factory=dict)

    def add_letter(self, stored: StoredDeadLetter) -> None:
        """The first letter about an event counts; later ones are copies. One about a refused example wraps none."""
        if stored.letter["reason"] != TOO_LARGE:
            self.letters.setdefault(stored.letter["offset"], stored)

    def open_at(self, open_from: int) -> set[int]:
        """Offsets of records that the join may still hold, when it has settled everything before `open_from`.

        What it has settled without an example has a letter, or counts for nothing; anything else is still to come.
        """
        return {offset for offset in self.log if offset >= open_from and offset not in self.letters}

    def is_apart(self, with_example: Collection[DecisionKey], request: InputEvent) -> bool:
        """Whether the join took the Request for the beginning of a decision of its own.

        It made an example of it (`with_example` holds those of this request_id), or gave it up as incomplete. One that
        came after a decision had been closed belongs to another, or is a copy that no longer matters, where that
        decision has its example.
        """
        stored = self.letters.get(request.offset)
        reason = None if stored is None else stored.letter["reason"]
        return (
            DecisionKey(request.request_id, request.event_time) in with_example
            or reason == Fate.INCOMPLETE
            or (reason == Fate.ORPHAN and bool(with_example))
        )

    def records(self) -> list[LogRecord]:
        """The decision's records as they were in the events log."""
        known = {offset: record for offset, record in self.log.items() if self._trusted(offset, record)}
        for offset, stored in self.letters.items():
            if offset not in known and is_whole(stored.letter):
                known[offset] = _original(stored)
        return list(known.values())

    def gone(self) -> list[str]:
        """A line for each record whose bytes are nowhere any more."""
        return [
            f"offset {offset}: its value was left out of the dead letter, and the events log no longer holds it"
            for offset, stored in self.letters.items()
            if not is_whole(stored.letter) and not (offset in self.log and self._trusted(offset, self.log[offset]))
        ]

    def _trusted(self, offset: int, record: LogRecord) -> bool:
        stored = self.letters.get(offset)
        return stored is None or is_about(stored.letter, record)


class GatheredDecisions:
    """The decisions of some request_ids in one partition of the events log."""

    def __init__(self, request_ids: Iterable[str]) -> None:
        self._by_id = {request_id: GatheredDecision(request_id) for request_id in request_ids}

    @property
    def decisions(self) -> Mapping[str, GatheredDecision]:
        """By request_id."""
        return self._by_id

    def add_letter(self, stored: StoredDeadLetter) -> None:
        """Takes a letter when it belongs to one of the decisions."""
        decision = self._by_id.get(decision_of(stored.letter) or "")
        if decision is not None:
            decision.add_letter(stored)

    def add_record(self, record: LogRecord) -> None:
        """Takes a record of the events log when its key names one of the decisions."""
        decision = self._by_id.get(key_text(record.key) or "")
        if decision is not None:
            decision.log[record.offset] = record


def by_request_id(decisions: Iterable[DecisionKey]) -> dict[str, set[DecisionKey]]:
    """The decisions that share a request_id, together."""
    found: dict[str, set[DecisionKey]] = {}
    for decision in decisions:
        found.setdefault(decision.request_id, set()).add(decision)
    return found


def _original(stored: StoredDeadLetter) -> LogRecord:
    """The wrapped record; the letter was appended after it, which is the nearest bound on when it came."""
    letter = stored.letter
    return LogRecord(
        letter["topic"], letter["partition"], letter["offset"], stored.append_time, letter["key"], letter["value"]
    )
