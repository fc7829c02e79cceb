"""Selects dead letters, and gathers all records of the decisions they belong to.

The records of a decision are in two places: in dead letters, with their original bytes, and in the events log, unless
retention has deleted them. The log is preferred, because it has the append time and also the bytes that are too large
for a letter. If the log has another record at that offset, the topic was created again, and the letter is used.
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
    """Selects the dead letters whose decisions are replayed; by default all.

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
    """The request_id of a letter: the one the join read, else the key; None if there is neither."""
    if letter["request_id"]:
        return letter["request_id"]
    return key_text(letter["key"])


def key_text(key: bytes | None) -> str | None:
    """A record's key as a request_id; None if it is empty or not UTF-8."""
    try:
        return key.decode() if key else None
    except UnicodeDecodeError:
        return None


@dataclass(slots=True)
class GatheredDecision:
    """All known records of one request_id in one partition, by original offset; they may be of several decisions."""

    request_id: str
    letters: dict[int, StoredDeadLetter] = field(default_factory=dict)
    log: dict[int, LogRecord] = field(default_factory=dict)

    def add_letter(self, stored: StoredDeadLetter) -> None:
        """Add a letter. Later letters about the same event are copies; one about a refused example has no event."""
        if stored.letter["reason"] != TOO_LARGE:
            self.letters.setdefault(stored.letter["offset"], stored)

    def open_at(self, open_from: int) -> set[int]:
        """Offsets of records whose decision may still be open in the join; records before `open_from` are final.

        A record with a letter is final as well.
        """
        return {offset for offset in self.log if offset >= open_from and offset not in self.letters}

    def is_apart(self, with_example: Collection[DecisionKey], request: InputEvent) -> bool:
        """Whether the join treated this Request as the start of a separate decision.

        It did if it wrote an example for it (`with_example` has the decisions of this request_id that have one) or
        reported it as incomplete. An orphaned Request arrived after a decision had closed. It counts as a separate
        decision if one of this request_id has an example; if it is only a copy of that one's Request, that is harmless.
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
        """A line for each record whose bytes no longer exist anywhere."""
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
        """Add a letter if it belongs to one of the decisions."""
        decision = self._by_id.get(decision_of(stored.letter) or "")
        if decision is not None:
            decision.add_letter(stored)

    def add_record(self, record: LogRecord) -> None:
        """Add a record of the events log if its key is one of the request_ids."""
        decision = self._by_id.get(key_text(record.key) or "")
        if decision is not None:
            decision.log[record.offset] = record


def by_request_id(decisions: Iterable[DecisionKey]) -> dict[str, set[DecisionKey]]:
    """The decisions grouped by request_id."""
    found: dict[str, set[DecisionKey]] = {}
    for decision in decisions:
        found.setdefault(decision.request_id, set()).add(decision)
    return found


def _original(stored: StoredDeadLetter) -> LogRecord:
    """The original record; its append time is unknown, so the letter's, which is the closest upper bound, is used."""
    letter = stored.letter
    return LogRecord(
        letter["topic"], letter["partition"], letter["offset"], stored.append_time, letter["key"], letter["value"]
    )
