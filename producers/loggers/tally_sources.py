"""The tally sources of one process, one after another, so that no table grows without bound. Pure.

A tally is cumulative, and readers add the newest tally of every source. A process that ran for months would repeat the
table of all its days in each tally. So it counts as one source for about a day, and goes on as the next.
"""

from __future__ import annotations

from collections import deque

from event_schemas.units import DAY_MS
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.decision_tally import DecisionTally
from producers.loggers.recent_units import RecentUnits

MOST_ROWS = 6_000
"""Rows at which a source is left: a Tally of so many is below 500 kB. A day of 1,000 arms has about 2,000."""
MOST_LEFT = 16
"""Sources left whose last tally waits to be taken. More can only wait if no thread takes them."""


class TallySources:
    """Counts decisions into a source, leaves it when it is old or large, and hands out tallies.

    Invariants:

    - A decision is counted once, into the source in force. Which source that is depends on the clock and on the size
      of the table, never on the decision's event time: a decision of yesterday that is applied after midnight, or
      replayed from years ago, has its own day as a row in today's source.
    - A source is left for good at the first `turn` whose UTC day differs from the one before, later or earlier (a clock
      may be set back), or as soon as its table has `most_rows` rows. Numbers only rise, so no source is ever resumed.
    - The last tally of a source that was left is handed out before any tally of a later source. Then it cannot change.
    - So the newest tallies of all sources add up to the decisions counted until the last `take`. A kill loses what was
      counted since then, and nothing else. A forked child begins anew, under a name of its own.

    Not thread-safe: DecisionLogger calls it under its lock. `lost` counts tallies that waited in vain.
    """

    def __init__(self, most_rows: int = MOST_ROWS, units: RecentUnits | None = None) -> None:
        self._most_rows = most_rows
        self._units = RecentUnits() if units is None else units
        self._tally = DecisionTally(1, self._units)
        self._left: deque[DecisionTally] = deque()
        self._day: int | None = None
        self._told = 0
        self.lost = 0

    @property
    def rows(self) -> int:
        """Rows of the table of the source in force."""
        return self._tally.rows

    def add(self, applied: AppliedDecision) -> None:
        """Counts one decision, and leaves the source if its table is full."""
        self._tally.add(applied)
        if self._tally.rows >= self._most_rows:
            self._leave()

    def turn(self, now: int) -> None:
        """Leaves the source if the UTC day of `now` (epoch ms) is another than at the last call; call it often."""
        day = now // DAY_MS
        if self._day not in (None, day) and self._tally.decisions:
            self._leave()
        self._day = day

    def take_left(self) -> list[DecisionTally]:
        """The last tallies of the sources left since the last call, oldest first."""
        left = list(self._left)
        self._left.clear()
        return left

    def take(self) -> list[DecisionTally]:
        """As `take_left`, followed by a copy of the tally in force if it has counted anything since the last call."""
        told = self.take_left()
        if self._tally.decisions > self._told:
            self._told = self._tally.decisions
            told.append(self._tally.copy())
        return told

    def _leave(self) -> None:
        if self._tally.decisions > self._told:
            self._left.append(self._tally)
        if len(self._left) > MOST_LEFT:
            self._left.popleft()
            self.lost += 1
        self._tally = DecisionTally(self._tally.number + 1, self._units)
        self._told = 0


def source_name(process: str, number: int) -> str:
    """The first source of a process has its name; `#2`, `#3`, … follow."""
    return process if number == 1 else f"{process}#{number}"
