"""Dead letters: what could not join, with its original bytes and the reason."""

from __future__ import annotations

import hashlib

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.log_record import LogRecord
from stream_processors.rule.fates import Fate

LARGEST_VALUE = 512 * 1024
"""Larger values are left out of the dead letter, which then names their SHA-256."""

LONGEST_DETAIL = 2_000
"""Longer details are cut: one that spells out a large key could make a letter that no topic takes."""


def dead_letter(
    codec: Codec, record: LogRecord, reason: Fate, detail: str, known: tuple[str | None, int | None]
) -> bytes:
    """The framed DeadLetter of a log record; `known` is its request_id and event time as far as they could be read."""
    value = record.value
    if len(detail) > LONGEST_DETAIL:
        detail = f"{detail[:LONGEST_DETAIL]}…"
    if value is not None and len(value) > LARGEST_VALUE:
        detail = f"{detail}; value of {len(value)} bytes left out, SHA-256 {hashlib.sha256(value).hexdigest()}"
        value = None
    letter: r.DeadLetterRecord = {
        "reason": reason.value,
        "detail": detail,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "value": value,
        "event_time": known[1],
        "request_id": known[0],
    }
    return codec.encode(r.DEAD_LETTER, letter)
