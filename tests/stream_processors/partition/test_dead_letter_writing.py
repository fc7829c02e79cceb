"""Dead letters carry the original bytes, or their hash when those are too large."""

from __future__ import annotations

import hashlib

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.partition.dead_letter_writing import LARGEST_VALUE, dead_letter
from stream_processors.rule.fates import Fate
from tests.stream_processors.event_log import CODEC


def test_it_says_what_why_and_where() -> None:
    record = LogRecord("trimtab.events", 2, 9, 5, b"a", b"bytes")
    letter = CODEC.decode(dead_letter(CODEC, record, Fate.LATE, "too late", ("a", 4))).record
    assert letter == {
        "reason": "late",
        "detail": "too late",
        "topic": "trimtab.events",
        "partition": 2,
        "offset": 9,
        "key": b"a",
        "value": b"bytes",
        "event_time": 4,
        "request_id": "a",
    }


def letter_of(value: bytes | None) -> r.Record:
    record = LogRecord("t", 0, 0, 0, None, value)
    return CODEC.decode(dead_letter(CODEC, record, Fate.MALFORMED, "bad", (None, None))).record


def test_nothing_known_is_null() -> None:
    letter = letter_of(None)
    assert letter["key"] is letter["value"] is letter["event_time"] is letter["request_id"] is None


def test_a_value_beyond_512_kib_becomes_its_hash() -> None:
    value = b"x" * (LARGEST_VALUE + 1)
    letter = letter_of(value)
    assert letter["value"] is None
    assert hashlib.sha256(value).hexdigest() in letter["detail"]
    assert letter_of(value[1:])["value"] == value[1:]


def test_a_detail_that_spells_out_a_large_key_is_cut() -> None:
    """A key of a megabyte of zeros is four megabytes in words: no topic would take the letter, on any attempt."""
    record = LogRecord("t", 0, 0, 0, b"\0" * 1_000_000, b"small")
    letter = dead_letter(CODEC, record, Fate.MALFORMED, f"key = {record.key!r} is not the request_id", (None, None))
    assert len(letter) < 1_010_000
