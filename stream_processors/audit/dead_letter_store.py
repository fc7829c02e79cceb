"""Reads dead letters, counts them by reason, and decodes the events they contain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import structlog

from event_schemas.codec import Codec
from event_schemas.dead_letter import MALFORMED, TOO_LARGE
from event_schemas.errors import SchemaError, SettingError
from event_schemas.log_record import LogRecord
from event_schemas.records import DEAD_LETTER, DeadLetterRecord
from stream_processors.rule.fates import SILENT, Fate

log = structlog.get_logger(__name__)


REASONS = tuple(sorted({*(fate.value for fate in Fate if fate not in SILENT), MALFORMED, TOO_LARGE}))
"""The reasons of all dead letters, whoever writes them."""


def require_reasons(asked: Iterable[str]) -> None:
    """Raises SettingError for a reason that no dead letter has."""
    for reason in asked:
        if reason not in REASONS:
            raise SettingError(
                f"--reason {reason!r} is the reason of no dead letter", fix=f"choose from {', '.join(REASONS)}"
            )


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """One dead letter and its position in the dead-letters topic."""

    partition: int
    offset: int
    append_time: int
    letter: DeadLetterRecord

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; bytes are shown as hexadecimal digits."""
        plain = {name: field.hex() if isinstance(field, bytes) else field for name, field in self.letter.items()}
        place = {"partition": self.partition, "offset": self.offset, "append_time": self.append_time}
        return {"at": place, **plain}


def read_dead_letters(records: Iterable[LogRecord], codec: Codec) -> Iterator[StoredDeadLetter]:
    """The dead letters among these records; others are skipped, with a warning if they cannot be decoded."""
    for record in records:
        try:
            decoded = codec.decode(record.value)
        except SchemaError as fault:
            log.warning("not a dead letter", partition=record.partition, offset=record.offset, fault=fault.what)
            continue
        if decoded.name == DEAD_LETTER:
            letter = cast(DeadLetterRecord, decoded.record)
            yield StoredDeadLetter(record.partition, record.offset, record.append_time, letter)


def count_reasons(letters: Iterable[StoredDeadLetter]) -> dict[str, int]:
    """The number of letters by reason, most frequent first."""
    return dict(Counter(stored.letter["reason"] for stored in letters).most_common())


def original_record(stored: StoredDeadLetter, codec: Codec) -> dict[str, Any] | None:
    """The event that a dead letter contains, decoded; None if it cannot be (possibly the reason for the letter)."""
    try:
        decoded = codec.decode(stored.letter["value"])
    except SchemaError:
        return None
    return {"record": decoded.name, "version": decoded.version, **decoded.record}
