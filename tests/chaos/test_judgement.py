"""Planned events against the log."""

from __future__ import annotations

from event_schemas.log_record import LogRecord
from tests.chaos.evidence import fingerprint
from tests.chaos.judgement import Tally, compare_events


def record(offset: int, key: bytes | None, value: bytes | None) -> LogRecord:
    return LogRecord("events", 0, offset, 0, key, value)


def test_events_that_never_reached_the_log_are_lost_and_second_copies_are_told() -> None:
    planned = [(b"a", b"1"), (b"a", b"1"), (b"b", b"2"), (None, None), (b"c", b"3")]
    log = [record(0, b"a", b"1"), record(1, b"b", b"2"), record(2, b"b", b"2"), record(3, None, None)]
    tally = compare_events(planned, log)
    assert tally.lost == 2
    assert tally.notes == ("2 events never reached the log", "1 events reached the log once more than planned")
    assert compare_events(planned[2:4], log) == Tally(notes=(tally.notes[1],)), "others' events do not matter"


def test_key_and_value_cannot_be_mistaken_for_each_other() -> None:
    events = [(b"a", b"b"), (b"b", b"a"), (None, b"a"), (b"None", b"a"), (b"a", None), (b"", b"")]
    assert len({fingerprint(event) for event in events}) == len(events)


def test_tallies_add_up() -> None:
    assert Tally(1, 2, 3, ("a",)) + Tally(4, 5, 6, ("b",)) == Tally(5, 7, 9, ("a", "b"))
