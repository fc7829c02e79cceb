"""When a decision began."""

from __future__ import annotations

import pytest

from stream_processors.partition.first_offset import FirstOffset


@pytest.mark.parametrize(("watermark", "oldest", "reached"), [(None, 5, 5), (3, 5, 5), (9, 5, 9)])
def test_a_decision_begins_when_its_first_event_is_read(watermark: int | None, oldest: int, reached: int) -> None:
    assert FirstOffset(7, watermark, b"a", oldest).reached == reached
