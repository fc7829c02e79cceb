"""How the watermark moves over some records of the log, and which events are late by it.

Every event that is neither malformed nor future moves the watermark, whatever becomes of it. So the watermark's course
is known before any decision is looked at.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stream_processors.columns.array_types import Integers, Mask
from stream_processors.columns.validated_records import HEARTBEAT, MALFORMED, ValidatedRecords
from stream_processors.partition.decision_table import NO_WATERMARK
from stream_processors.rule.join_rule import JoinRule

LAST = 2**63 - 1
"""The last event time there is (ms)."""


class WatermarkCourse(NamedTuple):
    """The watermark (ms) before each record; `heard` are the events that are neither malformed, future nor late."""

    before: Integers
    """One more entry than records: the last is the watermark after them. `NO_WATERMARK` before the first event."""
    heard: Mask

    def at(self, place: int) -> int | None:
        """The watermark before the record at this place."""
        watermark = int(self.before[place])
        return None if watermark == NO_WATERMARK else watermark


def watermark_course(validated: ValidatedRecords, watermark: int | None, rule: JoinRule) -> WatermarkCourse:
    """The course over these records, starting with this watermark, by steps 1, 2, 4 and 6 of the rule."""
    times, window = validated.times, rule.window_ms
    skew = rule.max_future_skew_ms
    latest = np.minimum(np.array(validated.records.append_times, np.int64), LAST - skew) + skew
    sound = (validated.codes != MALFORMED) & (times <= latest)
    moved = np.where(sound, times, NO_WATERMARK)
    before = np.empty(len(times) + 1, np.int64)
    before[0] = NO_WATERMARK if watermark is None else watermark
    before[1:] = moved
    np.maximum.accumulate(before, out=before)
    earlier = before[:-1]
    moved_far = earlier >= NO_WATERMARK + window
    late = moved_far & (times <= np.where(moved_far, earlier, 0) - window) & (validated.codes != HEARTBEAT)
    return WatermarkCourse(before, sound & ~late)
