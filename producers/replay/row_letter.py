"""The dead letter of a row that is no decision; it can always be encoded, and no topic refuses it for its size."""

from __future__ import annotations

import hashlib

from event_schemas import records as r
from producers.replay.log_rows import LogRow
from producers.replay.row_events import BadRow, row_as_json

LARGEST_ROW = 512 * 1024
"""Larger rows (bytes of JSON) are left out of the letter, which then names their SHA-256."""
LONGEST_DETAIL = 2_000
LONGEST_ID = 1_024


def row_letter(row: LogRow, bad: BadRow, file: str) -> r.DeadLetterRecord:
    """The file as topic, the row's number as offset, the row as JSON; an unusable request_id is left out."""
    detail = bad.detail[:LONGEST_DETAIL].encode(errors="backslashreplace").decode()
    value: bytes | None = row_as_json(row)
    if value is not None and len(value) > LARGEST_ROW:
        detail = f"{detail}; row of {len(value)} bytes left out, SHA-256 {hashlib.sha256(value).hexdigest()}"
        value = None
    request_id = bad.request_id if _usable(bad.request_id) else None
    return {
        "reason": "malformed",
        "detail": detail,
        "topic": file,
        "partition": 0,
        "offset": row.number,
        "key": None if request_id is None else request_id.encode(),
        "value": value,
        "event_time": bad.event_time,
        "request_id": request_id,
    }


def _usable(request_id: str | None) -> bool:
    if request_id is None or len(request_id) > LONGEST_ID:
        return False
    return not any("\ud800" <= letter <= "\udfff" for letter in request_id)
