"""A log record is a value: equal by content and immutable."""

import pytest

from event_schemas.log_record import LogRecord

RECORD = LogRecord("trimtab.events", 2, 41, 1_574_553_600_000, b"r1", None)


def test_records_are_equal_by_content() -> None:
    assert LogRecord("trimtab.events", 2, 41, 1_574_553_600_000, b"r1", None) == RECORD
    assert LogRecord("trimtab.events", 2, 42, 1_574_553_600_000, b"r1", None) != RECORD


def test_a_record_does_not_change() -> None:
    with pytest.raises(AttributeError):
        RECORD.offset = 42  # type: ignore[misc]
