"""The dead letter of a source record; it can always be encoded, and no topic refuses it for its size."""

from __future__ import annotations

import hashlib

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from producers.bridge.engagement_mapping import MappedRecord
from producers.replay.row_letter import LARGEST_ROW, LONGEST_DETAIL, LONGEST_ID

MALFORMED = "malformed"
TOO_LARGE = "too_large"


def source_letter(record: LogRecord, mapped: MappedRecord, reason: str, detail: str) -> r.DeadLetterRecord:
    """The record's place, key and bytes as they were; what is too large is left out and named by its SHA-256."""
    shown = detail[:LONGEST_DETAIL].encode(errors="backslashreplace").decode()
    key, without_key = _within_bounds("key", record.key)
    value, without_value = _within_bounds("value", record.value)
    request_id = mapped.request_id
    return {
        "reason": reason,
        "detail": f"{shown}{without_key}{without_value}",
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": key,
        "value": value,
        "event_time": mapped.event_time,
        "request_id": None if request_id is None or len(request_id) > LONGEST_ID else request_id,
    }


def _within_bounds(name: str, content: bytes | None) -> tuple[bytes | None, str]:
    if content is None or len(content) <= LARGEST_ROW:
        return content, ""
    return None, f"; {name} of {len(content)} bytes left out, SHA-256 {hashlib.sha256(content).hexdigest()}"
