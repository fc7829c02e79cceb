"""What a tally needs to know of an applied decision."""

from __future__ import annotations

from typing import NamedTuple


class AppliedDecision(NamedTuple):
    """An applied decision, logged or not.

    `exploration` is the digest of the settings that it was drawn with; None if they are unknown, and then
    `exploration_rate` and `unit` count for nothing. `exploration_rate` is the rate ε_t in [0, 1] that the draw used,
    also if it was 0 because of a kill, and whatever the slice. `unit` is the exploration unit of its request. All
    decisions of a unit share one draw. `event_time` is that of its records, in milliseconds since the epoch, UTC.
    """

    slice: str
    arm: int
    event_time: int
    exploration: str | None
    exploration_rate: float
    unit: str
