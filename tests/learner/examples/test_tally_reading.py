"""The newest tally of each source counts; the result is the sum over all sources."""

from collections.abc import Mapping
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
from event_schemas.units import DAY_MS
from learner.examples.example_source import MemoryExampleSource
from learner.examples.learner_errors import ExamplesLost
from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay
from learner.examples.tally_reading import ABSURD, NAMED_TALLIES, UNREADABLE, read_tallies
from learner.examples.tally_tables import MOST_DECISIONS
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.tally_sources import TallySources, source_name
from producers.topics.topic_admin import TopicError

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
    assert sum(read.undated.values()) == read.decisions


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


DAY = 20_000
SPAN = {
    "exploration": "d" * 64,
    "first_event_time": DAY * DAY_MS,
    "last_event_time": DAY * DAY_MS + 5,
    "units": 4,
    "rate_sum": 0.5,
}


def tabled(offset: int, source: str, explored: int, others: int, **span: float) -> LogRecord:
    """A tally of version 2, whose explored decisions are of arm 1 and whose others are of arm 0."""
    counts = {"EXPLORE": explored, "POLICY": others}
    arms = [{"day": DAY, "slice": name, "arm": int(name == "EXPLORE"), "count": n} for name, n in counts.items()]
    spans = [{**SPAN, "decisions": explored + others, "square_sum": 100.0, **span}]
    rows = [{"slice": name, "count": count} for name, count in counts.items()]
    record = {"event_time": 0, "source": source, "counts": rows, "arms": arms, "spans": spans}
    return LogRecord("t.tallies", 0, offset, 0, source.encode(), CODEC.encode("Tally", record))


def test_days_arms_and_spans_are_summed_over_the_newest_tallies() -> None:
    records = [tabled(0, "a", 1, 5), tabled(1, "b", 2, 8), tabled(2, "a", 3, 17), of_version_1(3, "old", 90)]
    read = read_tallies(MemoryExampleSource(records), CODEC)
    assert read.counts == {"EXPLORE": 5, "POLICY": 115}
    assert read.arms == {ArmDay(DAY, "EXPLORE", 1): 5, ArmDay(DAY, "POLICY", 0): 25}
    [(span, total)] = read.spans.items()
    assert (span, total.decisions, total.units, total.rate_sum) == (SpanDay("d" * 64, DAY), 30, 8, 1.0)
    rated = read.rated[DAY]
    assert (rated.decisions, rated.explored, rated.rate_sum) == (30, 5, 1.0)
    assert not read.dated(0)


def test_a_topic_whose_first_tallies_were_deleted_may_miss_sources_until_then() -> None:
    def said(offset: int, partition: int, event_time: int) -> LogRecord:
        return tally_of(offset, f"{offset}", [("POLICY", 1)], event_time)._replace(partition=partition)

    whole = [said(0, 0, 5 * DAY_MS), said(1, 0, 9 * DAY_MS)]
    assert read_tallies(MemoryExampleSource(whole), CODEC).kept_from is None
    cut = [*whole, said(7, 1, 3 * DAY_MS), said(8, 1, 6 * DAY_MS)]
    assert read_tallies(MemoryExampleSource(cut), CODEC).kept_from == 3 * DAY_MS


def of_version_1(offset: int, source: str, count: int) -> LogRecord:
    first = [entry for entry in Registry.bundled().entries() if entry.name == "Tally" and entry.version == 1]
    rows = [{"slice": "POLICY", "count": count}]
    value = Codec(Registry(first)).encode("Tally", {"event_time": 0, "source": source, "counts": rows})
    return LogRecord("t.tallies", 0, offset, 0, source.encode(), value)


def test_tallies_of_version_1_say_nothing_of_days_and_rates() -> None:
    read = read_tallies(MemoryExampleSource([of_version_1(0, "a", 5), of_version_1(1, "a", 7)]), CODEC)
    assert read == SliceTallies({"POLICY": 7}, {UNREADABLE: 0, ABSURD: 0}, undated_until=0)


def test_absurd_tables_are_left_out_and_the_counts_before_them_stay() -> None:
    records = [tabled(0, "a", 1, 5), tabled(1, "a", 2, 8, rate_sum=-1.0), tabled(2, "b", 1, 5, units=7)]
    cut = tabled(4, "c", 2, 8)
    records += [tabled(3, "c", 1, 9), cut._replace(value=(cut.value or b"")[:-1])]
    with capture_logs() as said:
        read = read_tallies(MemoryExampleSource(records), CODEC)
    assert read == SliceTallies({"EXPLORE": 2, "POLICY": 14}, {UNREADABLE: 1, ABSURD: 2}, undated_until=0)
    assert [(line["reason"], line["offset"]) for line in said] == [(ABSURD, 1), (ABSURD, 2), (UNREADABLE, 4)]


def test_what_the_producers_count_is_what_the_learner_reads() -> None:
    """A process of three days, whose tables fill up, and that is killed with its last decisions untold."""
    log = MemoryLog(1)
    sources = TallySources(most_rows=50)
    for number in range(3_000):
        sources.turn(number * 100_000)
        name = "EXPLORE" if number % 20 == 0 else "POLICY"
        sources.add(AppliedDecision(name, number % 30, number * 100_000, "d" * 64, 0.05, f"s{number // 3}"))
        for counted in sources.take() if number % 7 == 0 else sources.take_left():
            source = source_name("node", counted.number)
            value = CODEC.encode("Tally", counted.record(source, 0))
            log.send(OutgoingEvent("tallies", source.encode(), value, "Tally"))
    read = read_tallies(MemoryExampleSource(log.records("tallies")), CODEC)
    told = 2_997
    rated = read.rated.values()
    assert (read.decisions, sum(read.arms.values()), sum(day.decisions for day in rated)) == (told, told, told)
    assert sum(day.rate_sum for day in rated) == pytest.approx(told * 0.05)
    assert read.left_out == {UNREADABLE: 0, ABSURD: 0}
    assert len(read.arms) == len({(n // 864, n % 20 == 0, n % 30) for n in range(told)})
    spans = read.spans.values()
    assert [sum(total.units for total in spans), sum(total.square_sum for total in spans)] == [999, 999 * 9]


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


class AbsentTopic(MemoryExampleSource):
    def start(self, offsets: Mapping[int, int]) -> None:
        raise TopicError("topic t.tallies does not exist", fix="create it")


def test_an_absent_topic_is_logged_and_has_no_tallies() -> None:
    with capture_logs() as said:
        assert read_tallies(AbsentTopic([]), CODEC) == read_tallies(MemoryExampleSource([]), CODEC)
    assert [(line["what"], line["fix"]) for line in said] == [("topic t.tallies does not exist", "create it")]
