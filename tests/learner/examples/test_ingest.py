"""From a log to the store, with dead letters on the way."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from event_schemas.codec import Codec
from event_schemas.dead_letter import LARGEST_KEY, LARGEST_VALUE
from event_schemas.errors import ComponentUnreachable
from event_schemas.experiment import Experiment
from event_schemas.log_record import LogRecord
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry
from learner.examples.example_decoder import BadExample, ExampleDecoder
from learner.examples.example_source import MemoryExampleSource
from learner.examples.ingest import DeadLetters, Ingest, IngestCounts
from learner.examples.learner_errors import ExamplesLost
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
from monitoring.metrics import LearnerMetrics
from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.memory_log import MemoryLog
from producers.topics.topic_admin import TopicError
from tests.learner.segment_samples import as_version_0_1_0

Build = Callable[..., Ingest]


@pytest.fixture
def letters() -> MemoryLog:
    return MemoryLog(partitions=1)


@pytest.fixture
def build(codec: Codec, experiment: Experiment, tmp_path: Path, letters: MemoryLog) -> Build:
    def build(records: list[LogRecord], **changes: Any) -> Ingest:
        store = SegmentStore(tmp_path, "t.examples", 10**15)
        decoder = ExampleDecoder(codec, experiment.action_space)
        dead_letters = DeadLetters(codec, changes.pop("sender", letters), "dl")
        return Ingest(MemoryExampleSource(records), decoder, store, dead_letters, **changes)

    return build


def run(ingest: Ingest) -> IngestCounts:
    ingest.start()
    for _ in ingest.to_end():
        pass
    ingest.store.close()
    return ingest.counts


def test_everything_is_taken_in_once(build: Build, world: Any) -> None:
    log = world.log(world.examples(50))
    assert run(build(log)) == IngestCounts(stored=50)
    assert run(build(log)) == IngestCounts()


def test_it_goes_on_where_it_stopped_and_second_copies_are_dropped(build: Build, world: Any) -> None:
    examples = world.examples(30)
    assert run(build(world.log(examples[:20]))).stored == 20
    again = world.log([*examples[:20], *examples[10:]])
    assert run(build(again)) == IngestCounts(stored=10, duplicate=10)


def test_bad_records_become_dead_letters(build: Build, world: Any, codec: Codec, letters: MemoryLog) -> None:
    log = world.log(world.examples(4))
    log[2] = log[2]._replace(value=b"broken")
    huge = b"\0" * (LARGEST_VALUE + 1)
    log[3] = log[3]._replace(value=huge)
    assert run(build(log)) == IngestCounts(stored=2, malformed=2)
    first, second = (codec.decode(record.value).record for record in letters.records("dl"))
    assert (first["reason"], first["topic"], first["partition"], first["value"]) == (
        "malformed",
        "t.examples",
        log[2].partition,
        b"broken",
    )
    assert second["value"] is None
    assert "SHA-256" in second["detail"]
    assert letters.records("dl")[0].key == log[2].key


@pytest.mark.parametrize("size", [LARGEST_KEY, LARGEST_KEY + 1])
def test_a_letter_goes_under_the_key_it_holds(size: int, codec: Codec, letters: MemoryLog) -> None:
    record = LogRecord("t.examples", 0, 3, 0, b"k" * size, b"v" * LARGEST_VALUE)
    DeadLetters(codec, letters, "dl").send([BadExample(record, "bad", "k" * size)])
    [written] = letters.records("dl")
    assert len(written.key or b"") + len(written.value or b"") < 1_000_000
    assert written.key == codec.decode(written.value).record["key"] == (record.key if size == LARGEST_KEY else None)


class DroppingLog(MemoryLog):
    """Drops every event."""

    def flush(self, timeout_s: float = 0.0) -> DeliveryCounts:
        return replace(self.counts(), dropped=self.counts().handed_in)


def test_nothing_is_committed_while_a_dead_letter_is_not_delivered(build: Build, world: Any) -> None:
    log = world.log(world.examples(4))
    log[0] = log[0]._replace(value=b"broken")
    ingest = build(log, sender=DroppingLog())
    with pytest.raises(ComponentUnreachable, match="dead letters"):
        run(ingest)
    assert ingest.store.rows == 0
    assert dict(ingest.store.next_offsets) == {}


class LateReplacement(MemoryExampleSource):
    """A topic that is created again while it is read, after `reads` polls; it gives 40 records a poll."""

    def __init__(self, old: list[LogRecord], new: list[LogRecord], reads: int) -> None:
        super().__init__(old, "first")
        self._new, self._reads = new, reads

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        if self._reads == 0:
            self.create_again(self._new, "second")
        self._reads -= 1
        return super().poll(40, timeout_s)


@given(held=st.integers(0, 200), later=st.integers(0, 300), reads=st.integers(0, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_record_of_a_topic_that_was_created_again_is_passed_over(
    held: int, later: int, reads: int, build: Build, world: Any, tmp_path: Path
) -> None:
    """Whether it holds fewer, as many or more records, and whether it comes while it is read or later."""
    shutil.rmtree(tmp_path, ignore_errors=True)
    old, new = world.log(world.examples(held)), world.log(world.examples(later, first=5000))
    first = build([])
    first.source = LateReplacement(old, new, reads)
    first.start()
    with suppress(ExamplesLost, TopicError):
        for _ in range(12):
            first.round(0.0)
    first.store.close()
    second = build([])
    second.source = MemoryExampleSource(new, "second")
    if second.store.next_offsets:
        with pytest.raises(ExamplesLost, match="created again"):
            run(second)
        assert set(read_segments(tmp_path)["request_request_id"]) <= {str(record.key, "utf-8") for record in old}
    else:
        assert run(second).stored == later
    second.store.close()


def test_nothing_is_taken_over_from_a_topic_that_lost_its_offsets(build: Build, world: Any, tmp_path: Path) -> None:
    """The id is stored only after the offsets were found in the log; else wrong offsets would look valid."""
    assert run(build(world.log(world.examples(30)))).stored == 30
    as_version_0_1_0(tmp_path)
    short = build(world.log(world.examples(4, first=100)))
    with pytest.raises(ExamplesLost, match="the next offset is"):
        short.start()
    short.store.close()
    grown = build(world.log(world.examples(90, first=100)))
    grown.start()  # nobody can know any more
    assert grown.store.next_offsets


class SilentSource(MemoryExampleSource):
    """Reports more records but returns none."""

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        return []


def test_a_log_that_stops_answering_is_an_error(build: Build, world: Any) -> None:
    ingest = build([])
    ingest.source = SilentSource(world.log(world.examples(1)))
    ingest.start()
    ticks = iter(range(1000))
    with pytest.raises(ComponentUnreachable, match="no example came"):
        list(ingest.to_end(timeout_s=5, clock=lambda: float(next(ticks))))


def test_fates_are_exported(build: Build, world: Any) -> None:
    registry = CollectorRegistry()
    run(build(world.log(world.examples(7)), metrics=LearnerMetrics(registry)))
    assert registry.get_sample_value("trimtab_learner_ingested_total", {"fate": "stored"}) == 7


def test_what_the_release_before_could_not_read_is_read_again_after_the_upgrade(
    codec: Codec, experiment: Experiment, world: Any, tmp_path: Path, letters: MemoryLog
) -> None:
    """The join was upgraded before the learner: newer examples are dead letters until `--reread`."""
    before = Codec(Registry(entry for entry in codec.registry.entries() if entry.version == 1))
    examples = world.examples(40)
    for example in examples[15:]:
        example["propensity"] = example["propensity"] | {"exploration": "digest"}
    old, new = replace(world, codec=before).log(examples), world.log(examples)
    log = [*old[:15], *new[15:25], *old[25:30], *new[30:]]

    def learner(codec: Codec, reread: bool = False) -> Ingest:
        store = SegmentStore(tmp_path, "t.examples", 10**15, reread=reread)
        decoder, sender = ExampleDecoder(codec, experiment.action_space), DeadLetters(codec, letters, "dl")
        return Ingest(MemoryExampleSource(log), decoder, store, sender)

    assert run(learner(before)) == IngestCounts(stored=20, malformed=20)
    assert "propensity_exploration" not in pl.read_parquet(next(tmp_path.glob("*.parquet"))).columns
    told = [codec.decode(record.value).record for record in letters.records("dl")]
    newest = codec.schema_id(EXAMPLE)
    assert {letter["value"] for letter in told} == {record.value for record in log if record.value[4] == newest}
    assert all(f"schema id {newest} is not registered" in letter["detail"] for letter in told)

    assert run(learner(codec)) == IngestCounts(), "their offsets are committed"
    assert run(learner(codec, reread=True)) == IngestCounts(stored=20, duplicate=20)
    rows = read_segments(tmp_path, ["request_request_id", "propensity_exploration"]).sort("request_request_id")
    assert rows["request_request_id"].to_list() == [example["request"]["request_id"] for example in examples]
    assert rows["propensity_exploration"].to_list() == [None] * 15 + ["digest"] * 10 + [None] * 5 + ["digest"] * 10
