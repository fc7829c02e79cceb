"""Dead letters, read back for people."""

from __future__ import annotations

import json

import pytest

from event_schemas.codec import Codec
from event_schemas.errors import SettingError
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from stream_processors.audit.dead_letter_store import (
    REASONS,
    count_reasons,
    original_record,
    read_dead_letters,
    require_reasons,
)
from tests.record_samples import DEAD_LETTER, REQUEST

CODEC = Codec(Registry.bundled())


def _records(*values: bytes | None) -> list[LogRecord]:
    return [LogRecord("dead-letters", 2, offset, 1_000, None, value) for offset, value in enumerate(values)]


def test_letters_are_read_with_their_place_and_others_passed_over() -> None:
    late = CODEC.encode("DeadLetter", {**DEAD_LETTER, "reason": "late"})
    malformed = CODEC.encode("DeadLetter", DEAD_LETTER)
    stray = CODEC.encode("Request", REQUEST)
    letters = list(read_dead_letters(_records(late, b"garbage", None, stray, malformed, late), CODEC))
    assert [(stored.partition, stored.offset) for stored in letters] == [(2, 0), (2, 4), (2, 5)]
    assert count_reasons(letters) == {"late": 2, "malformed": 1}


def test_as_dict_is_plain_json() -> None:
    (stored,) = read_dead_letters(_records(CODEC.encode("DeadLetter", DEAD_LETTER)), CODEC)
    shown = json.loads(json.dumps(stored.as_dict()))
    assert shown["at"] == {"partition": 2, "offset": 0, "append_time": 1_000}
    assert (shown["key"], shown["value"]) == (b"r1".hex(), "00")
    assert shown["reason"] == "malformed"


def test_the_wrapped_event_is_decoded_where_possible() -> None:
    wrapped = CODEC.encode("DeadLetter", {**DEAD_LETTER, "value": CODEC.encode("Request", REQUEST)})
    undecodable = CODEC.encode("DeadLetter", DEAD_LETTER)
    good, bad = read_dead_letters(_records(wrapped, undecodable), CODEC)
    original = original_record(good, CODEC)
    assert original is not None
    assert (original["record"], original["request_id"]) == ("Request", "r1")
    assert original_record(bad, CODEC) is None


def test_a_reason_that_no_letter_has_is_refused() -> None:
    require_reasons([*REASONS, "malformed", "too_large", "late"])
    with pytest.raises(SettingError, match="'banana'") as refused:
        require_reasons(["late", "banana"])
    assert "incomplete, late, malformed" in refused.value.fix
