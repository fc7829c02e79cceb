"""The newest tally of each source counts; the result is the sum over all sources."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable
from event_schemas.log_record import LogRecord
from event_schemas.records import HEARTBEAT
from event_schemas.registry import Registry
from event_schemas.slices import Slice
from learner.examples.example_source import MemoryExampleSource
from learner.examples.learner_errors import ExamplesLost
from learner.examples.tally_reading import ABSURD, MOST_DECISIONS, NAMED_TALLIES, UNREADABLE, read_tallies

CODEC = Codec(Registry.bundled())


def tally(offset: int, source: str, **counts: int) -> LogRecord:
    return tally_of(offset, source, list(counts.items()))


def tally_of(offset: int, source: str, counts: list[tuple[str, int]], event_time: int = 0) -> LogRecord:
    rows = [{"slice": name, "count": count} for name, count in counts]
    value = CODEC.encode("Tally", {"event_time": event_time, "source": source, "counts": rows})
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


INT64 = st.integers(-(2**63), 2**63 - 1)
COUNT = st.integers(0, MOST_DECISIONS) | INT64 | st.sampled_from([-1, MOST_DECISIONS, MOST_DECISIONS + 1, 2**63 - 1])
COUNTS = st.lists(st.tuples(st.sampled_from([*Slice, "", "x" * 1_000, "explore"]), COUNT), max_size=4)
SOURCE = st.sampled_from(["node-1", "node-2", "", "\n" * 500])


Said = tuple[str, list[tuple[str, int]], int]


def believable(counts: list[tuple[str, int]]) -> bool:
    names = [name for name, _ in counts]
    slices = [slice_.value for slice_ in Slice]
    return len(set(names)) == len(names) and all(name in slices and 0 <= n <= 10**12 for name, n in counts)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(SOURCE, COUNTS, INT64), max_size=8))
def test_a_source_says_what_its_newest_believable_tally_says(tallies: list[Said]) -> None:
    newest: dict[str, dict[str, int]] = {}
    for source, counts, _ in tallies:
        if believable(counts):
            newest[source] = dict(counts)
    records = [tally_of(at, source, counts, time) for at, (source, counts, time) in enumerate(tallies)]
    read = read_tallies(MemoryExampleSource(records), CODEC)
    assert read.left_out == {UNREADABLE: 0, ABSURD: sum(not believable(counts) for _, counts, _ in tallies)}
    for name in Slice:
        assert read.counts.get(name, 0) == sum(counts.get(name, 0) for counts in newest.values())
    p_value = read.p_value(0.0125)
    assert (p_value is None) == (read.decisions == 0)
    assert p_value is None or 0.0 <= p_value <= 1.0


def test_what_is_left_out_is_counted_and_named_but_not_without_end() -> None:
    absurd = [tally(at, f"node-{at}", EXPLORE=2**63 - 1) for at in range(NAMED_TALLIES)]
    heartbeat = CODEC.encode(HEARTBEAT, {"event_time": 0, "source": "s"})
    unreadable = [LogRecord("t.tallies", 0, 90 + at, 0, b"k", value) for at, value in enumerate((b"", heartbeat, None))]
    with capture_logs() as said:
        read = read_tallies(MemoryExampleSource([*absurd, *unreadable]), CODEC)
    assert read.left_out == {ABSURD: NAMED_TALLIES, UNREADABLE: len(unreadable)}
    assert [line["event"] for line in said] == ["tally left out"] * NAMED_TALLIES + ["more tallies left out"]
    assert (said[3]["source"], said[3]["slice"], said[3]["value"]) == ("node-3", "EXPLORE", 2**63 - 1)
    assert said[-1]["tallies"] == len(unreadable)


def test_an_empty_topic_has_none() -> None:
    assert read_tallies(MemoryExampleSource([]), CODEC).decisions == 0


class Replaced(MemoryExampleSource):
    """A topic that is created again while it is read."""

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        raise ExamplesLost("the log lost the offset", fix="read again")


def test_a_topic_that_changes_while_it_is_read_is_read_again_by_the_next_run() -> None:
    with pytest.raises(ComponentUnreachable, match="changed while they were read"):
        read_tallies(Replaced([tally(0, "node-1", EXPLORE=1)]), CODEC)


class SilentSource(MemoryExampleSource):
    """A log whose broker goes down after it reported the end offsets."""

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        return []


def test_a_broker_that_falls_silent_ends_the_reading() -> None:
    seconds = count(0.0, 10.0)
    with pytest.raises(ComponentUnreachable, match="no tally came"):
        read_tallies(SilentSource([tally(0, "node-1", EXPLORE=1)]), CODEC, lambda: next(seconds))
