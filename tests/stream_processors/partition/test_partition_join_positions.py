"""The join's results in parts, its positions, and what a restart at one rebuilds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition import partition_join, pending_decisions
from stream_processors.partition.commit_position import CommitPosition, CommitUnreadable
from stream_processors.partition.partition_join import PartitionJoin, StepResult
from stream_processors.rule.fates import Fate
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.join_runs import VALIDATOR, assert_same_outputs, joined, process


def test_steps_are_parts_of_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog()
    for number in range(40):
        log.decision(f"r{number}", 100)
        log.request(f"alone{number}", 101)
    log.heartbeat(1000)
    whole = joined(log)
    monkeypatch.setattr(partition_join, "EMISSIONS_AT_ONCE", 7)
    monkeypatch.setattr(pending_decisions, "CLOSED_AT_ONCE", 3)
    join = PartitionJoin(small_rule(), CODEC, 0)
    parts = list(join.steps(VALIDATOR.validate(RecordColumns.of(log.records))))
    assert len(parts) > 8
    assert max(len(part.emissions) for part in parts) < 7 + 3
    assert_same_outputs([emission for part in parts for emission in part.emissions], whole.emissions)
    assert sum((Counter(part.fates) for part in parts), Counter()) == whole.fates


def test_dead_letters_come_in_parts_of_the_size_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog()
    for number in range(20):
        log.request(f"r{number}", 100)
    log.heartbeat(1000)
    monkeypatch.setattr(partition_join, "EMISSIONS_AT_ONCE", 7)
    parts = list(PartitionJoin(small_rule(), CODEC, 0).steps(VALIDATOR.validate(RecordColumns.of(log.records))))
    assert [len(part.emissions) for part in parts] == [7, 7, 6]


def test_a_lowered_cap_closes_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog()
    for number in range(40):
        log.decision(f"r{number}", 100)
    before = PartitionJoin(small_rule(), CODEC, 0)
    assert process(before, log.records).emissions == ()
    log.request("last", 100)
    lowered = replace(small_rule(), max_pending=1)
    monkeypatch.setattr(partition_join, "EMISSIONS_AT_ONCE", 7)
    join = PartitionJoin(lowered, CODEC, 0, before.position())
    parts = list(join.steps(VALIDATOR.validate(RecordColumns.of(log.records))))
    assert [part.examples for part in parts] == [7, 7, 7, 7, 7, 5]


def test_records_seen_before_are_skipped() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(1000)
    join = PartitionJoin(small_rule(), CODEC, 0)
    assert process(join, log.records).examples == 1
    assert process(join, log.records) == StepResult((), {}, {}, 0)


def test_a_position_names_what_is_open_remembered_and_settled() -> None:
    log = EventLog(first_offset=10)
    log.decision("a", 100)
    log.decision("b", 110)
    log.engagement("a", 150)
    log.heartbeat(100 + WINDOW_MS)
    join = PartitionJoin(small_rule(), CODEC, 0)
    assert join.position() is None
    process(join, log.records)
    assert join.position() == CommitPosition(18, 13, 10, None, 0, WINDOW_MS)
    assert (join.pending, join.watermark) == (1, 100 + WINDOW_MS)
    log.heartbeat(1000)
    process(join, log.records)
    assert join.position() == CommitPosition(19, 19, 19, 1000, 0, WINDOW_MS)


def test_a_rebuild_is_silent_and_keeps_its_position() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(150)
    first = PartitionJoin(small_rule(), CODEC, 0)
    process(first, log.records)
    position = first.position()
    log.heartbeat(1000)
    again = PartitionJoin(small_rule(), CODEC, 0, position)
    assert process(again, log.records[:2]) == StepResult((), {}, {}, 0)
    assert again.position() == position
    assert process(again, log.records).fates == {Fate.JOINED: 4}


def test_a_rebuild_ends_though_the_last_records_before_its_end_are_gone() -> None:
    log = EventLog()
    log.decision("a", 100)
    log.heartbeat(150)
    first = PartitionJoin(small_rule(), CODEC, 0)
    process(first, log.records)
    log.heartbeat(1000)
    again = PartitionJoin(small_rule(), CODEC, 0, first.position())
    assert process(again, [*log.records[:3], log.records[4]]).fates == {Fate.JOINED: 4}
    assert again.position() == CommitPosition(5, 5, 5, 1000, 0, WINDOW_MS)


def test_a_commit_with_another_window_is_refused() -> None:
    position = CommitPosition(5, 5, 5, 100, 0, WINDOW_MS + 1)
    with pytest.raises(CommitUnreadable, match=str(WINDOW_MS + 1)):
        PartitionJoin(small_rule(), CODEC, 0, position)
