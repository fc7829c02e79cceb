"""The newest tally of each source counts; the sum of all sources is what comes out."""

from itertools import count

import pytest

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from learner.example_source import MemoryExampleSource
from learner.learner_errors import ExamplesLost
from learner.tally_reading import read_tallies

CODEC = Codec(Registry.bundled())


def tally(offset: int, source: str, **counts: int) -> LogRecord:
    rows = [{"slice": name, "count": count} for name, count in counts.items()]
    value = CODEC.encode("Tally", {"event_time": offset, "source": source, "counts": rows})
    return LogRecord("t.tallies", 0, offset, 0, source.encode(), value)


def test_tallies_are_cumulative_per_source() -> None:
    source = MemoryExampleSource(
        [
            tally(0, "node-1", EXPLORE=1, POLICY=10),
            tally(1, "node-2", POLICY=5),
            tally(2, "node-1", EXPLORE=3, POLICY=40),
            LogRecord("t.tallies", 0, 3, 0, b"node-3", b"not a tally"),
            tally(4, "node-2", POLICY=-9, EXPLORE=50),
        ]
    )
    assert read_tallies(source, CODEC).counts == {"EXPLORE": 3, "POLICY": 45}


def test_an_empty_topic_has_none() -> None:
    assert read_tallies(MemoryExampleSource([]), CODEC).decisions == 0


class Replaced(MemoryExampleSource):
    """A topic that is created again while it is read."""

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        raise ExamplesLost("the log lost the offset", mend="read again")


def test_a_topic_that_changes_while_it_is_read_is_read_again_by_the_next_run() -> None:
    with pytest.raises(ComponentUnreachable, match="changed while they were read"):
        read_tallies(Replaced([tally(0, "node-1", EXPLORE=1)]), CODEC)


class SilentSource(MemoryExampleSource):
    """A log whose broker went away after it had said how much there is."""

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        return []


def test_a_broker_that_falls_silent_ends_the_reading() -> None:
    seconds = count(0.0, 10.0)
    with pytest.raises(ComponentUnreachable, match="no tally came"):
        read_tallies(SilentSource([tally(0, "node-1", EXPLORE=1)]), CODEC, lambda: next(seconds))
