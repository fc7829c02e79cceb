"""A topic is read from its start to where it ended when the reading began."""

from __future__ import annotations

from itertools import count

import pytest

from event_schemas.errors import ComponentUnreachable
from event_schemas.log_record import LogRecord
from learner.examples.example_source import MemoryExampleSource
from learner.examples.whole_topic import whole_topic

RECORDS = [LogRecord("t", partition, offset, 0, b"k", b"v") for offset in range(3) for partition in range(2)]


def test_every_record_comes_once() -> None:
    got = [record for batch in whole_topic(MemoryExampleSource(RECORDS), "record") for record in batch]
    assert sorted((r.partition, r.offset) for r in got) == [(p, o) for p in range(2) for o in range(3)]
    assert list(whole_topic(MemoryExampleSource([]), "record")) == []


def test_silence_is_an_outage() -> None:
    class Silent(MemoryExampleSource):
        def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
            return []

    clock = count(0, 10)
    with pytest.raises(ComponentUnreachable, match="no tally came for 30 s"):
        list(whole_topic(Silent(RECORDS), "tally", lambda: float(next(clock))))
