"""Until when a request can have happened.

The newest request is the learner's "now": one from the far future would push all others out of the window and out of
the retention.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from event_schemas.experiment_sections import JoinSpec
from event_schemas.number_bounds import LONGS
from event_schemas.units import DAY_MS

CLOCKS_APART_MS = DAY_MS
"""How far clocks may lie apart, and more: what a limit catches lies years ahead."""
ENDLESS = LONGS[-1]


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """`clock`: this machine's, epoch ms; None where event times have nothing to do with it.

    `max_future_skew_ms`: how far a request may lie ahead, besides a day. `not_after`: the latest time (epoch ms) that
    an operator lets pass; None: nobody said.
    """

    clock: Callable[[], int] | None = None
    max_future_skew_ms: int = 0
    not_after: int | None = None

    @classmethod
    def of_join(cls, join: JoinSpec, clock: Callable[[], int], not_after: int | None = None) -> Self:
        """The limit of an experiment: with `join.clock = "replay"` the clock limits nothing."""
        return cls(clock if join.clock == "live" else None, join.max_future_skew, not_after)

    def latest(self) -> int:
        """The latest event time (epoch ms) that is believed now; a number beyond every date when any is."""
        by_clock = ENDLESS if self.clock is None else self.clock() + self.max_future_skew_ms + CLOCKS_APART_MS
        return min(by_clock, ENDLESS if self.not_after is None else self.not_after)
