"""A request_id in use for ever is named; ordinary decisions are not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from stream_processors.partition.first_offset import FirstOffset
from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.partition.stuck_request_ids import WINDOWS, StuckRequestIds
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.join_runs import process

SECOND = FirstOffset(8, 100 * WINDOW_MS, b"b", 100 * WINDOW_MS)


def told_over(windows: int, restless: str | None) -> list[dict[str, Any]]:
    """What is told while decisions come for this many windows, and engagements of one id all the time."""
    lines: list[dict[str, Any]] = []
    ids = StuckRequestIds(WINDOW_MS, lambda event, **fields: lines.append({"event": event, **fields}))
    join, log = PartitionJoin(small_rule(), CODEC, 3), EventLog(3)
    for step in range(4 * windows):
        log.decision(f"r{step}", time := 1_000 + step * WINDOW_MS // 4)
        if restless is not None:
            log.engagement(restless, time, engagement_id=f"e{step}")
        process(join, log.records)
        ids.warn_if_stuck(3, join.oldest, join.watermark)
    return lines


def test_ordinary_decisions_are_not_told_of() -> None:
    assert told_over(30, None) == []


@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(-1, 1))
def test_decisions_after_a_silence_are_not_told_of(quarters: list[int], early: int) -> None:
    """Nothing moves the watermark between two parts of a log: it is not the later decision that is old."""
    told: list[str] = []
    ids = StuckRequestIds(WINDOW_MS, lambda event, **_: told.append(event))
    join, log, time = PartitionJoin(small_rule(), CODEC, 3), EventLog(3), 1_000
    for step, wait in enumerate(quarters):
        time += wait * WINDOW_MS // 4
        log.decision(f"r{step}", time)
        log.engagement(f"r{step}", time + early * WINDOW_MS // 4, engagement_id=f"e{step}")
        process(join, log.records)
        ids.warn_if_stuck(3, join.oldest, join.watermark)
    assert told == []


def test_an_id_that_never_rests_is_told_with_its_place_and_again_when_its_age_doubled() -> None:
    lines = told_over(30, "undefined")
    assert [line["windows"] for line in lines] == [WINDOWS, 2 * WINDOWS, 4 * WINDOWS]
    assert {(line["request_id"], line["partition"], line["offset"]) for line in lines} == {("undefined", 3, 3)}
    assert "producer" in lines[0]["fix"]


@pytest.mark.parametrize(("oldest", "watermark"), [(None, None), (None, 5), (SECOND, None)])
def test_a_partition_without_memory_is_quiet(oldest: FirstOffset | None, watermark: int | None) -> None:
    told: list[str] = []
    StuckRequestIds(WINDOW_MS, lambda event, **_: told.append(event)).warn_if_stuck(0, oldest, watermark)
    assert told == []


def test_the_next_oldest_is_told_of_when_it_is_old_itself() -> None:
    told: list[int] = []
    ids = StuckRequestIds(WINDOW_MS, lambda _, **fields: told.append(fields["offset"]))
    ids.warn_if_stuck(0, FirstOffset(7, 0, b"a", 0), 100 * WINDOW_MS)
    ids.warn_if_stuck(0, SECOND, (100 + WINDOWS) * WINDOW_MS - 1)
    assert told == [7]
    ids.warn_if_stuck(0, SECOND, (100 + WINDOWS) * WINDOW_MS)
    assert told == [7, 8]


def test_lines_go_to_the_log_unless_told_otherwise() -> None:
    with capture_logs() as lines:
        StuckRequestIds(WINDOW_MS).warn_if_stuck(3, FirstOffset(7, 0, b"undefined", 0), WINDOWS * WINDOW_MS)
    assert [(line["log_level"], line["request_id"], line["partition"]) for line in lines] == [
        ("warning", "undefined", 3)
    ]
