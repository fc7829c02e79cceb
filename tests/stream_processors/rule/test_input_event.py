"""Input events: their place in the log, and the bytes an Example nests."""

from __future__ import annotations

import pytest

from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, WRITERS, EventLog, small_rule

VALIDATOR = ChunkValidator(CODEC, small_rule())


@pytest.mark.parametrize("version", WRITERS)
def test_the_datum_of_a_part_is_in_the_newest_schema(version: str) -> None:
    record = EventLog(first_offset=7).request("a", 5, version=version)
    event = VALIDATOR.validate_one(record)
    assert isinstance(event, InputEvent)
    assert event.datum == CODEC.encode_datum("Request", CODEC.decode(record.value).record)
    assert event.offset == record.offset == 7


def test_what_no_example_nests_has_no_datum() -> None:
    log = EventLog()
    for record in (log.engagement("a", 5), log.heartbeat(5)):
        event = VALIDATOR.validate_one(record)
        assert isinstance(event, InputEvent)
        assert event.datum == b""
