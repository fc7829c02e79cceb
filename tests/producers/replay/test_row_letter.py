"""Whatever a row holds, its dead letter can be written."""

from __future__ import annotations

import json

import pytest

from event_schemas.codec import Codec
from event_schemas.records import DEAD_LETTER
from event_schemas.registry import Registry
from producers.replay.log_rows import LogRow
from producers.replay.row_events import BadRow
from producers.replay.row_letter import LARGEST_ROW, row_letter

CODEC = Codec(Registry.bundled())


def test_the_letter_says_where_the_row_is_and_what_it_held() -> None:
    letter = row_letter(LogRow(7, 5, {"p": 2}), BadRow("p = 2", "log-7", 5), "log")
    assert (letter["topic"], letter["offset"], letter["key"]) == ("log", 7, b"log-7")
    assert letter["value"] is not None
    assert json.loads(letter["value"]) == {"p": 2}


@pytest.mark.parametrize("request_id", ["\ud800", "x" * 2_000_000])
def test_hostile_rows_give_letters_that_fit(request_id: str) -> None:
    values = {"id": request_id, "broken": "\udfff"}
    letter = row_letter(LogRow(0, None, values), BadRow(f"row \ud83d {request_id}", request_id, None), "log")
    assert len(CODEC.encode(DEAD_LETTER, letter)) < 1_000_000
    assert letter["request_id"] is None


def test_a_large_row_is_named_by_its_digest() -> None:
    letter = row_letter(LogRow(0, None, {"blob": "x" * LARGEST_ROW}), BadRow("too large", None, None), "log")
    assert letter["value"] is None
    assert "SHA-256" in letter["detail"]
