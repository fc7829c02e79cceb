"""How many decisions are stored by day, slice and arm, to be compared with what producers counted (`slice_tallies`).

EXPLORE and CONTROL decisions are logged always, so every one that was applied should be stored. Those of POLICY and
FALLBACK are sampled, in part by user, and are not compared.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

import polars as pl

from event_schemas.slices import Slice
from event_schemas.units import DAY_MS
from learner.examples.row_settings import DIGEST
from learner.examples.slice_tallies import ArmDay, SpanDay

ALWAYS_LOGGED = (Slice.EXPLORE.value, Slice.CONTROL.value)
"""Slices whose decisions are logged whatever the log rate is."""
DayCell = TypeVar("DayCell", ArmDay, SpanDay)
PARTITION, EVENT_TIME, SLICE = "outcome_partition", "request_event_time", "action_slice"
LATEST_LAG_MS = DAY_MS
"""A partition further behind than this is no longer waited for: its examples count as missing."""


@dataclass(frozen=True, slots=True)
class ForgottenCounts:
    """Decisions that would be stored if nobody had asked to forget their users: `arms` and `explored` of StoredCounts,
    but of every slice."""

    arms: Mapping[ArmDay, int] = field(default_factory=dict)
    explored: Mapping[SpanDay, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """The stored decisions of an experiment's log; days are UTC days of event times since the epoch.

    arms         decisions of ALWAYS_LOGGED slices by day, slice and arm, of any action space
    explored     EXPLORE decisions by the digest of their exploration settings and day; those without one are left out
    first, last  event times (ms) of the earliest and the latest decision of any slice; 0 without decisions
    closed_to    the event time up to which all partitions of the log have been read
    """

    arms: Mapping[ArmDay, int] = field(default_factory=dict)
    explored: Mapping[SpanDay, int] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    closed_to: int = 0

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        """Of all stored examples, with the columns of `learning_rows.COLUMNS`."""
        if frame.height == 0:
            return cls()
        day = (pl.col(EVENT_TIME) // DAY_MS).alias("day")
        kept = frame.select(day, SLICE, "action_arm", DIGEST).filter(pl.col(SLICE).is_in(ALWAYS_LOGGED))
        arms = kept.group_by("day", SLICE, "action_arm").len()
        explored = kept.filter((pl.col(SLICE) == Slice.EXPLORE.value) & pl.col(DIGEST).is_not_null())
        spans = explored.group_by(DIGEST, "day").len()
        times = frame[EVENT_TIME].to_numpy()
        return cls(
            {ArmDay(each, name, arm): count for each, name, arm, count in arms.iter_rows()},
            {SpanDay(digest, each): count for digest, each, count in spans.iter_rows()},
            int(times.min()),
            int(times.max()),
            _closed_to(frame),
        )

    def with_forgotten(self, forgotten: ForgottenCounts) -> Self:
        """The counts as if forgotten rows were stored: producers have counted them, and nothing else is missing."""
        logged = {key: count for key, count in forgotten.arms.items() if key.slice in ALWAYS_LOGGED}
        return replace(self, arms=_sum(self.arms, logged), explored=_sum(self.explored, forgotten.explored))


def _sum(first: Mapping[DayCell, int], second: Mapping[DayCell, int]) -> Mapping[DayCell, int]:
    return Counter(first) + Counter(second)


def _closed_to(frame: pl.DataFrame) -> int:
    """The newest event time of the slowest partition, among those at most LATEST_LAG_MS behind the fastest."""
    newest = frame.group_by(PARTITION).agg(pl.col(EVENT_TIME).max())[EVENT_TIME].to_numpy()
    return int(newest[newest >= newest.max() - LATEST_LAG_MS].min())
