"""Stored decisions are counted by day, slice and arm; slow partitions hold the closing time back, dead ones do not."""

from typing import Any

import polars as pl

from event_schemas.units import DAY_MS, HOUR_MS
from learner.examples.slice_tallies import ArmDay, SpanDay
from learner.examples.stored_counts import StoredCounts
from tests.learner_samples import World

DIGEST = "d" * 64


def test_decisions_that_are_always_logged_are_counted(world: World) -> None:
    examples = [placed(world, 0, 3, "EXPLORE"), placed(world, 1, 3, "CONTROL"), placed(world, 2, 4, "EXPLORE")]
    examples.append(placed(world, 3, 4, "POLICY"))
    examples[0]["propensity"]["exploration"] = DIGEST
    found = StoredCounts.of(world.frame(examples))
    assert found.arms == {ArmDay(3, "EXPLORE", 1): 1, ArmDay(3, "CONTROL", 1): 1, ArmDay(4, "EXPLORE", 1): 1}
    assert found.explored == {SpanDay(DIGEST, 3): 1}
    assert (found.first, found.last) == (3 * DAY_MS, 4 * DAY_MS + 3 * HOUR_MS)


def test_the_slowest_living_partition_says_what_is_closed(world: World) -> None:
    """The newest decisions of four partitions; two of them are more than a day behind."""
    frame = world.frame([placed(world, 0, day, "EXPLORE") for day in range(4)])
    times = [2 * DAY_MS, 3 * DAY_MS, 5 * DAY_MS - 1, 5 * DAY_MS]
    frame = frame.with_columns(pl.Series("request_event_time", times), pl.Series("outcome_partition", range(4)))
    assert StoredCounts.of(frame).closed_to == 5 * DAY_MS - 1


def test_nothing_stored_is_nothing_counted(world: World) -> None:
    assert StoredCounts.of(world.frame(world.examples(1))[:0]) == StoredCounts()


def placed(world: World, number: int, day: int, slice_name: str) -> dict[str, Any]:
    example = world.example(number, 1, 0.1, [0.0] * 4, [0.0, 0.0])
    example["request"]["event_time"] = day * DAY_MS + number * HOUR_MS
    example["action"]["slice"] = slice_name
    return example
