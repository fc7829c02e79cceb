"""Dead letters: writes and reads the letter about a record that a stage cannot use.

A letter contains the record's key and value unchanged. With its own key, it stays below the million bytes that a Kafka
client sends by default, so that every stage can write it and every topic accepts it: a long detail is truncated, and a
large key or value is left out; the end of the detail then has its size and SHA-256.
"""

from __future__ import annotations

import hashlib
import re

from event_schemas.log_record import LogRecord
from event_schemas.records import DeadLetterRecord
from event_schemas.shown_text import cut
from event_schemas.units import KIBIBYTE

MALFORMED = "malformed"
"""Reason of a letter about a record that is not valid for its topic."""
TOO_LARGE = "too_large"
"""Reason of a letter about a record whose output is larger than the output topic allows."""

LARGEST_VALUE = 512 * KIBIBYTE
LARGEST_KEY = 128 * KIBIBYTE
"""Also the limit of a request_id, which is the key of most records; a letter then contains it three times."""
LONGEST_DETAIL = 2_000
"""In characters, without the sizes and hashes of bytes that were left out."""

LEFT_OUT = re.compile(r"; (key|value) of \d+ bytes left out, SHA-256 [0-9a-f]{64}")


def dead_letter(
    record: LogRecord, reason: str, detail: str, request_id: str | None = None, event_time: int | None = None
) -> DeadLetterRecord:
    """The letter about `record`; write it with the letter's own key. Every letter can be encoded.

    `request_id` and `event_time` are those of the record, or None if they could not be read.
    """
    text = cut(detail, LONGEST_DETAIL).encode(errors="backslashreplace").decode()
    key, without_key = _within("key", record.key, LARGEST_KEY)
    value, without_value = _within("value", record.value, LARGEST_VALUE)
    return {
        "reason": reason,
        "detail": f"{text}{without_key}{without_value}",
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": key,
        "value": value,
        "event_time": event_time,
        "request_id": request_id if _fits(request_id) else None,
    }


def left_out(name: str, content: bytes) -> str:
    """The text in a letter's detail for bytes that were left out."""
    return f"{name} of {len(content)} bytes left out, SHA-256 {hashlib.sha256(content).hexdigest()}"


def is_whole(letter: DeadLetterRecord) -> bool:
    """Whether the letter has the record's key and value, that is, neither was left out."""
    return not _missing(letter)


def is_about(letter: DeadLetterRecord, record: LogRecord) -> bool:
    """Whether the letter is about a record with this key and value; parts left out are compared by their hash."""
    missing = _missing(letter)
    return all(
        f"; {left_out(name, content or b'')}" in letter["detail"] if name in missing else kept == content
        for name, kept, content in (("key", letter["key"], record.key), ("value", letter["value"], record.value))
    )


def _missing(letter: DeadLetterRecord) -> set[str]:
    """Which of key and value the record had but the letter left out."""
    absent = {name for name, kept in (("key", letter["key"]), ("value", letter["value"])) if kept is None}
    return absent.intersection(LEFT_OUT.findall(letter["detail"])) if absent else absent


def _within(name: str, content: bytes | None, largest: int) -> tuple[bytes | None, str]:
    if content is None or len(content) <= largest:
        return content, ""
    return None, f"; {left_out(name, content)}"


def _fits(request_id: str | None) -> bool:
    """Whether a letter can contain it; text with half of a surrogate pair cannot be encoded."""
    try:
        return request_id is not None and len(request_id.encode()) <= LARGEST_KEY
    except UnicodeEncodeError:
        return False
