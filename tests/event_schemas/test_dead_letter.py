"""A dead letter can be written about any record, and identifies it."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.codec import Codec
from event_schemas.dead_letter import (
    LARGEST_KEY,
    LARGEST_VALUE,
    LONGEST_DETAIL,
    dead_letter,
    is_about,
    is_whole,
    left_out,
)
from event_schemas.log_record import LogRecord
from event_schemas.records import DEAD_LETTER, DeadLetterRecord
from event_schemas.registry import Registry

CODEC = Codec(Registry.bundled())
RECORD = LogRecord("trimtab.events", 2, 9, 5, b"a", b"bytes")
LARGE = b"v" * (LARGEST_VALUE + 1)
LARGE_KEY = b"k" * (LARGEST_KEY + 1)


def written(letter: DeadLetterRecord) -> int:
    """Bytes of the letter's message."""
    return len(CODEC.encode(DEAD_LETTER, letter)) + len(letter["key"] or b"")


def test_it_says_what_why_and_where() -> None:
    letter = dead_letter(RECORD, "late", "too late", "a", 4)
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
    assert CODEC.decode(CODEC.encode(DEAD_LETTER, letter)).record == letter


def test_nothing_known_is_null() -> None:
    letter = dead_letter(RECORD._replace(key=None, value=None), "malformed", "tombstone")
    assert [letter["key"], letter["value"], letter["event_time"], letter["request_id"]] == [None] * 4
    assert is_whole(letter)


def test_a_large_key_and_a_large_value_become_their_hashes() -> None:
    letter = dead_letter(RECORD._replace(key=LARGE_KEY, value=LARGE), "malformed", "bad")
    assert letter["key"] is letter["value"] is None
    assert letter["detail"] == (
        f"bad; key of {len(LARGE_KEY)} bytes left out, SHA-256 {hashlib.sha256(LARGE_KEY).hexdigest()}"
        f"; value of {len(LARGE)} bytes left out, SHA-256 {hashlib.sha256(LARGE).hexdigest()}"
    )
    kept = dead_letter(RECORD._replace(key=LARGE_KEY[1:], value=LARGE[1:]), "malformed", "bad")
    assert (kept["key"], kept["value"], kept["detail"]) == (LARGE_KEY[1:], LARGE[1:], "bad")


def test_a_long_detail_is_cut() -> None:
    assert dead_letter(RECORD, "malformed", "d" * LONGEST_DETAIL)["detail"] == "d" * LONGEST_DETAIL
    assert dead_letter(RECORD, "malformed", "d" * (LONGEST_DETAIL + 1))["detail"] == "d" * LONGEST_DETAIL + "…"


@pytest.mark.parametrize("request_id", ["\ud800", "x" * (LARGEST_KEY + 1), "ü" * LARGEST_KEY])
def test_a_request_id_that_no_key_could_be_is_left_out(request_id: str) -> None:
    assert dead_letter(RECORD, "malformed", "bad", request_id)["request_id"] is None


@given(
    key=st.sampled_from([0, 5, LARGEST_KEY, LARGEST_KEY + 1, 5_000_000]),
    value=st.sampled_from([0, LARGEST_VALUE, LARGEST_VALUE + 1, 5_000_000]),
    detail=st.sampled_from(["d", "\ud83d", "\U0001f600"]),
    length=st.integers(0, 5_000),
)
@settings(max_examples=30, deadline=None)
def test_no_letter_is_too_large_for_a_client(key: int, value: int, detail: str, length: int) -> None:
    record = RECORD._replace(key=b"k" * key, value=b"v" * value)
    letter = dead_letter(record, "malformed", detail * length, "k" * key)
    assert written(letter) < 1_000_000
    assert is_about(letter, record)
    assert is_whole(letter) is (key <= LARGEST_KEY and value <= LARGEST_VALUE)


@pytest.mark.parametrize("record", [RECORD, RECORD._replace(value=LARGE), RECORD._replace(key=LARGE_KEY, value=None)])
def test_a_letter_is_about_the_bytes_it_names_and_no_others(record: LogRecord) -> None:
    letter = dead_letter(record, "late", "too late")
    assert is_about(letter, record._replace(offset=10))
    assert not is_about(letter, record._replace(key=b"b"))
    assert not is_about(letter, record._replace(value=b"other"))
    assert not is_about(letter, record._replace(value=LARGE[:-1] + b"w"))
    assert not is_about(letter, record._replace(key=None))


def test_the_hash_of_other_bytes_in_a_detail_says_nothing_of_a_record_that_is_all_there() -> None:
    record = RECORD._replace(value=None)
    letter = dead_letter(record, "malformed", f"refused; {left_out('key', b'a')}; {left_out('example', b'bytes')}")
    assert is_whole(letter)
    assert is_about(letter, record)
