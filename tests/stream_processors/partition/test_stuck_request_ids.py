"""A request_id in use for ever is named; ordinary decisions are not."""

from __future__ import annotations

from typing import Any

from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.partition.stuck_request_ids import WINDOWS, StuckRequestIds
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule
from tests.stream_processors.join_runs import process


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


def test_an_id_that_never_rests_is_told_with_its_place_and_again_when_its_age_doubled() -> None:
    lines = told_over(30, "undefined")
    assert [line["windows"] for line in lines] == [WINDOWS, 2 * WINDOWS, 4 * WINDOWS]
    assert {(line["request_id"], line["partition"], line["offset"]) for line in lines} == {("undefined", 3, 3)}
    assert "producer" in lines[0]["fix"]


def test_a_partition_without_memory_is_quiet() -> None:
    told: list[str] = []
    StuckRequestIds(WINDOW_MS, lambda event, **_: told.append(event)).warn_if_stuck(0, None, None)
    assert told == []
