"""The latest time that a request may have.

The newest request is the learner's "now": a request from the far future would push all others out of the window and
beyond the retention.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from event_schemas.experiment_sections import JoinSpec
from event_schemas.number_bounds import LONGS
from event_schemas.units import DAY_MS

CLOCKS_APART_MS = DAY_MS
"""More than clocks can differ; the times that the limit must catch are years ahead."""
ENDLESS = LONGS[-1]


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """`clock` is this machine's clock in epoch ms, or None if event times are unrelated to it.

    A request may be ahead of the clock by `max_future_skew_ms` plus a day. `not_after` is the latest time (epoch ms)
    that an operator allows, or None.
    """

    clock: Callable[[], int] | None = None
    max_future_skew_ms: int = 0
    not_after: int | None = None

    @classmethod
    def of_join(cls, join: JoinSpec, clock: Callable[[], int], not_after: int | None = None) -> Self:
        """The limit of an experiment; with `join.clock = "replay"` the clock is not used."""
        return cls(clock if join.clock == "live" else None, join.max_future_skew, not_after)

    def latest(self) -> int:
        """The latest event time (epoch ms) that is accepted now; `ENDLESS` if there is no limit."""
        by_clock = ENDLESS if self.clock is None else self.clock() + self.max_future_skew_ms + CLOCKS_APART_MS
        return min(by_clock, ENDLESS if self.not_after is None else self.not_after)
