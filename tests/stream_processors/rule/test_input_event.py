"""Input events: the bytes an Example nests."""

from __future__ import annotations

from stream_processors.rule.input_event import InputEvent
from tests.stream_processors.event_log import CODEC, EventLog


def test_the_datum_is_the_value_behind_its_header() -> None:
    record = EventLog().request("a", 5)
    event = InputEvent(record, "Request", "a", 5)
    assert CODEC.decode_datum(CODEC.schema_id("Request"), event.datum)["request_id"] == "a"
    assert event.offset == record.offset


def test_a_resolved_datum_replaces_the_writers() -> None:
    event = InputEvent(EventLog().request("a", 5), "Request", "a", 5, None, b"newest")
    assert event.datum == b"newest"
