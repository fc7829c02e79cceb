"""The bookkeeping of the commit protocol: what is read, confirmed, committed, kept and dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition import partition_join, pending_decisions
from stream_processors.partition.commit_position import CommitPosition, LogReplaced, LogTruncated
from stream_processors.partition.partition_join import StepResult
from stream_processors.rule.join_rule import JoinRule
from stream_processors.worker.owned_partitions import OutputsTooNarrow, OwnedPartitions, RecordsMissed
from stream_processors.worker.record_chunk import RecordChunk, StartingPoint
from tests.components.homefeed_log import START, HomefeedLog

CODEC = Codec(Registry.bundled())
FRESH = StartingPoint(None, 0, 100)
TOPIC_ID = "topic-1"


def taken(parts: Iterable[tuple[StepResult, Callable[[int], None]]]) -> tuple[StepResult, Callable[[int], None]]:
    """The one part of a step."""
    (part,) = parts
    return part


class Desk:
    """One partition's owner, its log, and shorthands."""

    def __init__(self, experiment_file: Path) -> None:
        experiment = load_experiment(experiment_file)
        log = HomefeedLog(experiment, CODEC, 40)
        events = [event for number in range(10) for event in log.bare_decision(f"r{number}", START + number)]
        values = [(event.key, event.value) for event in events] + [(None, log.heartbeat())]
        self.log = [LogRecord("events", 0, n, log.end, key, value) for n, (key, value) in enumerate(values)]
        self.rule = JoinRule.from_experiment(experiment)
        self.owned = OwnedPartitions(self.rule, CODEC, TOPIC_ID, lambda: 4)

    def chunk(self, epoch: int, start: int, end: int, follows: int | None = None) -> RecordChunk:
        (validated,) = self.owned.validate([RecordColumns.of(self.log[start:end])])
        return RecordChunk(epoch, 0, start if follows is None else follows, validated)

    def process(
        self, chunk: RecordChunk, owned: OwnedPartitions | None = None
    ) -> tuple[StepResult, Callable[[int], None]]:
        """Steps 1 and 2 for a chunk that is not void."""
        owned = owned or self.owned
        validated = owned.accept(chunk)
        assert validated is not None
        return taken(owned.process(0, validated))


@pytest.fixture
def desk(experiment_file: Path) -> Desk:
    return Desk(experiment_file)


def test_without_a_commit_reading_starts_at_the_first_record(desk: Desk) -> None:
    assert desk.owned.take_partitions(1, {0: FRESH, 3: StartingPoint(None, 17, 99)}) == {0: 0, 3: 17}
    assert desk.owned.committable() == {}


def test_a_position_is_committed_once_all_outputs_up_to_it_are_confirmed(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH})
    for start in (0, 10, 20):
        result, _ = desk.process(desk.chunk(1, start, start + 10))
        assert result.emissions == ()
    assert desk.owned.committable()[0].settled == 30, "nothing to confirm"

    result, confirm = desk.process(desk.chunk(1, 30, 31))
    assert result.examples == len(result.emissions) == 10
    for _ in range(9):
        confirm(1)
    assert desk.owned.committable()[0].settled == 30, "one is on its way"
    confirm(1)
    position = desk.owned.committable()[0]
    assert (position.settled, position.open_from, position.rebuild_from) == (31, 31, 31)
    desk.owned.note_committed({0: position})
    assert desk.owned.committable() == {}, "no news"


def test_a_confirmed_step_waits_for_the_one_before_it(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH})
    desk.process(desk.chunk(1, 0, 30))
    desk.owned.committable()
    _, confirm_first = desk.process(desk.chunk(1, 30, 31))
    garbage = LogRecord("events", 0, 31, START, b"x", b"x")
    _, confirm_second = taken(desk.owned.process(0, desk.owned.validate([RecordColumns.of([garbage])])[0]))
    confirm_second(1)
    assert desk.owned.committable()[0].settled == 30
    for _ in range(10):
        confirm_first(1)
    assert desk.owned.committable()[0].settled == 32


def test_a_restart_rebuilds_silently_from_the_commit(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH})
    desk.process(desk.chunk(1, 0, 20))
    position = desk.owned.committable()[0]
    assert position.rebuild_from == 0 < position.settled == 20

    restarted = OwnedPartitions(desk.rule, CODEC, TOPIC_ID, lambda: 4)
    assert restarted.take_partitions(1, {0: StartingPoint(position, 0, 31)}) == {0: 0}
    result, _ = desk.process(desk.chunk(1, 0, 15), restarted)
    assert (result.emissions, dict(result.fates)) == ((), {})
    assert restarted.committable() == {}, "the rebuild is no news"
    result, _ = desk.process(desk.chunk(1, 15, 31), restarted)
    assert result.examples == 10


def test_state_of_a_partition_that_stays_is_kept(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH, 1: FRESH})
    desk.process(desk.chunk(1, 0, 25))
    before = desk.owned.partitions[0].join
    assert desk.owned.take_partitions(2, {0: FRESH}) == {0: 25}
    assert desk.owned.partitions[0].join is before
    assert list(desk.owned.partitions) == [0], "the other one is dropped"


def test_what_another_worker_committed_further_is_rebuilt(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH})
    desk.process(desk.chunk(1, 0, 10))
    before = desk.owned.partitions[0].join
    further = CommitPosition(20, 0, 0, None, 0, desk.rule.window_ms, TOPIC_ID)
    assert desk.owned.take_partitions(2, {0: StartingPoint(further, 0, 31)}) == {0: 0}
    assert desk.owned.partitions[0].join is not before


def test_a_position_is_known_only_when_all_parts_of_a_step_were_taken(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr(partition_join, "EMISSIONS_AT_ONCE", 4)
    monkeypatch.setattr(pending_decisions, "CLOSED_AT_ONCE", 4)
    desk.owned.take_partitions(1, {0: FRESH})
    validated = desk.owned.accept(desk.chunk(1, 0, 31))
    assert validated is not None
    parts = []
    for result, confirm in desk.owned.process(0, validated):
        assert desk.owned.committable() == {}
        parts.append(len(result.emissions))
        for _ in result.emissions:
            confirm(1)
    assert parts == [4, 4, 2]
    assert desk.owned.committable()[0].settled == 31


def test_void_and_repeated_records_are_passed_over(desk: Desk) -> None:
    desk.owned.take_partitions(4, {0: FRESH})
    assert desk.owned.accept(desk.chunk(3, 0, 10)) is None, "from before a rebalance"
    desk.process(desk.chunk(4, 0, 10))
    again = desk.owned.accept(desk.chunk(4, 5, 15))
    assert again is not None and again.records.offsets == list(range(10, 15))
    assert desk.owned.accept(desk.chunk(4, 0, 10)) is None, "all seen before"
    assert desk.owned.accept(RecordChunk(4, 9, 0, desk.owned.validate([RecordColumns.of(desk.log[:1])])[0])) is None, (
        "not ours"
    )


def test_a_gap_in_the_log_is_fine_but_not_one_between_chunks(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH})
    desk.process(desk.chunk(1, 0, 10))
    fresh = desk.owned.accept(desk.chunk(1, 14, 16, follows=10))
    assert fresh is not None and fresh.records.offsets == [14, 15]
    with pytest.raises(RecordsMissed, match="records 10 to 13 never arrived"):
        desk.owned.accept(desk.chunk(1, 14, 16))


def test_a_log_that_lost_its_start_or_its_end_stops_the_worker(desk: Desk) -> None:
    position = CommitPosition(50, 45, 40, 1, 0, desk.rule.window_ms)
    with pytest.raises(LogTruncated, match="starts at offset 41, but the join must read from 40"):
        desk.owned.take_partitions(1, {0: StartingPoint(position, 41, 60)})
    with pytest.raises(LogTruncated, match="ends at offset 49, but the join had read to 50"):
        desk.owned.take_partitions(1, {0: StartingPoint(position, 0, 49)})


def test_offsets_are_committed_with_the_topic_they_count_in_and_refused_for_another(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH})
    result, confirm = desk.process(desk.chunk(1, 0, 31))
    confirm(len(result.emissions))
    position = desk.owned.committable()[0]
    assert position.topic_id == TOPIC_ID
    again = OwnedPartitions(desk.rule, CODEC, "topic-2", lambda: 4)
    for log_end in (0, 30, 31, 32, 5_000):
        with pytest.raises(LogReplaced, match=r"topic id topic-1, but the events topic has id topic-2"):
            again.take_partitions(1, {0: StartingPoint(position, 0, log_end)})


def test_a_commit_of_an_older_version_is_believed_once_and_committed_with_the_topic(desk: Desk) -> None:
    old = CommitPosition(20, 0, 0, None, 0, desk.rule.window_ms)
    assert desk.owned.take_partitions(1, {0: StartingPoint(old, 0, 31)}) == {0: 0}
    taken_up = desk.owned.committable()
    assert taken_up == {0: replace(old, topic_id=TOPIC_ID)}
    desk.owned.note_committed(taken_up)
    assert desk.owned.committable() == {}
    result, _ = desk.process(desk.chunk(1, 0, 31))
    assert result.examples == 10


def test_a_partition_that_the_outputs_lack_stops_the_worker(desk: Desk) -> None:
    desk.owned.take_partitions(1, {0: FRESH, 3: FRESH})
    with pytest.raises(OutputsTooNarrow, match="partition 4 was added"):
        desk.owned.take_partitions(2, {0: FRESH, 4: FRESH})
