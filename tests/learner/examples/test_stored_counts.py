"""Stored decisions are counted by day, slice and arm; slow partitions hold the closing time back, dead ones do not."""

from pathlib import Path
from typing import Any

import polars as pl

from event_schemas.units import DAY_MS, HOUR_MS
from learner.examples.forgotten_users import forgotten_counts
from learner.examples.learning_rows import COLUMNS
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
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


def test_forgotten_users_leave_the_counts_as_they_were(world: World, tmp_path: Path) -> None:
    names = ("EXPLORE", "CONTROL", "POLICY", "FALLBACK")
    examples = [placed(world, number, number % 3, names[number % 4]) for number in range(24)]
    for example in examples[::2]:
        example["propensity"]["exploration"] = DIGEST
        example["request"]["user_id"] = "ann"
    whole = StoredCounts.of(world.frame(examples))
    with SegmentStore(tmp_path, "t.examples", 10**15) as store:
        store.append(world.decoded(examples), {0: 24})
        assert store.forget_user("ann", 10**15).height == 12
    left = StoredCounts.of(read_segments(tmp_path, list(COLUMNS)))
    assert left.arms != whole.arms and left.explored == {}
    counted = left.with_forgotten(forgotten_counts(tmp_path))
    assert (counted.arms, counted.explored) == (whole.arms, whole.explored)
    assert (counted.first, counted.last) == (left.first, left.last)


def test_nothing_stored_is_nothing_counted(world: World) -> None:
    assert StoredCounts.of(world.frame(world.examples(1))[:0]) == StoredCounts()


def placed(world: World, number: int, day: int, slice_name: str) -> dict[str, Any]:
    example = world.example(number, 1, 0.1, [0.0] * 4, [0.0, 0.0])
    example["request"]["event_time"] = day * DAY_MS + number * HOUR_MS
    example["action"]["slice"] = slice_name
    return example
