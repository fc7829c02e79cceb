"""Whatever a source record holds, its dead letter can be written."""

from __future__ import annotations

import pytest

from event_schemas.codec import Codec
from event_schemas.records import DEAD_LETTER
from event_schemas.registry import Registry
from producers.bridge.engagement_mapping import BridgeFate, MappedRecord
from producers.bridge.source_letter import source_letter
from producers.replay.row_letter import LARGEST_ROW
from tests.producers.bridge_samples import TOPIC, source_record

CODEC = Codec(Registry.bundled())


def mapped(request_id: str | None = None, event_time: int | None = None) -> MappedRecord:
    return MappedRecord(BridgeFate.DEAD_LETTER, None, "wrong", request_id, event_time)


def test_the_letter_holds_the_place_and_the_bytes() -> None:
    letter = source_letter(source_record(b"\x00x", 7, 2), mapped("r-1", 5), "malformed", "wrong")
    assert letter == {
        "reason": "malformed",
        "detail": "wrong",
        "topic": TOPIC,
        "partition": 2,
        "offset": 7,
        "key": b"user",
        "value": b"\x00x",
        "event_time": 5,
        "request_id": "r-1",
    }


def test_a_tombstone_has_no_bytes() -> None:
    assert source_letter(source_record(None), mapped(), "malformed", "tombstone")["value"] is None


@pytest.mark.parametrize("size", [LARGEST_ROW, LARGEST_ROW + 1, 5_000_000])
def test_what_is_too_large_is_named_by_its_digest(size: int) -> None:
    record = source_record(b"v" * size, key=b"k" * size)
    letter = source_letter(record, mapped("r" * 10_000), "malformed", "\ud83d" * 9_000)
    assert len(CODEC.encode(DEAD_LETTER, letter)) < 2 * LARGEST_ROW + 20_000
    assert (letter["key"] is None) is (letter["value"] is None) is (size > LARGEST_ROW)
    assert letter["detail"].count("SHA-256") == (0 if size == LARGEST_ROW else 2)
    assert letter["request_id"] is None
