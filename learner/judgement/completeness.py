"""Whether the log is complete: what producers counted against what is stored, by day, slice and arm.

Rewards cannot tell that rows without a reward were dropped, or that rows are there twice under other ids; counts can.
EXPLORE and CONTROL decisions are always logged, so of those counted on a day all should be stored, but for
ORDINARY_LOSS, and no more should be stored than were counted.

- A UTC day is whole if neither its beginning nor its end may be missing from the store: it begins after the earliest
  stored decision and is over in all partitions, or the store goes as far back and as far on as the tallies of that day.
- On a whole day a shortfall is evidence. On another the missing may be still to come or deleted with age: the day then
  only counts as compared if nothing is missing. An excess is evidence on either.
- A day is not compared if no tally names it, if it may have decisions that were counted without days (tallies of
  version 1), or if its examples may have come after the tallies were read.
- The log is complete if at least half of the judged rows are on compared days, and unverified otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from event_schemas.instant import utc_day
from event_schemas.units import DAY_MS
from learner.examples.binomial_tails import p_at_most
from learner.examples.slice_tallies import ArmDay, SliceTallies
from learner.examples.stored_counts import ALWAYS_LOGGED, StoredCounts
from learner.judgement.exploration_rates import ORDINARY_LOSS
from learner.judgement.tested_part import TestedPart, smallest_of

COMPARED_SHARE = 0.5
"""The share of the judged rows that must be on compared days."""
CONSISTENT = 0.05
"""A day that is not whole counts as compared if what is stored is as much as the tallies say, with such a p-value."""


class Pair(NamedTuple):
    """How many decisions were counted, and how many are stored."""

    counted: int = 0
    stored: int = 0

    def plus(self, other: "Pair") -> "Pair":
        """Both together."""
        return Pair(self.counted + other.counted, self.stored + other.stored)

    def p_value(self, design_effect: float) -> float:
        """P(as few of the larger number | ORDINARY_LOSS of it is missing, in units of this design effect)."""
        fewer, more = sorted(self)
        return p_at_most(fewer, more, 1.0 - ORDINARY_LOSS, design_effect) if fewer < more else 1.0


@dataclass(frozen=True)
class Completeness:
    """`part` is the test of the counts; None if no day could be compared.

    `whole` are the compared days of which nothing may be missing. `doubt` says why the log is not verified to be
    complete; empty if it is.
    """

    part: TestedPart | None = None
    whole: frozenset[int] = frozenset()
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class CountedLog:
    """A log and what was counted of it.

    judged      judged rows by UTC day
    days        the UTC days of the window
    slack_ms    how far the first and last stored decisions may lie inside the tallied span: below the join's window
    known_to    event time (ms) from whose day on examples may have come after the tallies were read; None if none have
    """

    tallies: SliceTallies
    stored: StoredCounts
    judged: Mapping[int, int]
    days: range
    slack_ms: int
    known_to: int | None = None

    def compared(self, design_effect: float, arm_names: tuple[str, ...]) -> Completeness:
        """The comparison; `design_effect` is that of exploration units, which may be lost together."""
        if not self.tallies.decisions:
            return Completeness(doubt="without tallies of the producers nobody knows how many rows are missing")
        cells = self._cells()
        days = {key.day for key in cells}
        whole = {day for day in days if self._whole(day)}
        tests = {key: pair for key, pair in cells.items() if key.day in whole or pair.stored > pair.counted}
        part = None if not days else _worst(tests, design_effect, arm_names)
        matching = {day for day in days - whole if _consistent(cells, day, design_effect)}
        return Completeness(part, frozenset(whole), self._doubt(whole | matching))

    def _cells(self) -> dict[ArmDay, Pair]:
        """The pairs of days that can be compared."""
        tallied = self.tallies.by_day
        days = {day for day in self.days if day in tallied and self.tallies.dated(day)}
        if self.known_to is not None:
            days = {day for day in days if day < self.known_to // DAY_MS}
        keys = {*self.tallies.arms, *self.stored.arms}
        return {
            key: Pair(self.tallies.arms.get(key, 0), self.stored.arms.get(key, 0))
            for key in sorted(keys)
            if key.day in days and key.slice in ALWAYS_LOGGED
        }

    def _whole(self, day: int) -> bool:
        first, last = day * DAY_MS, (day + 1) * DAY_MS - 1
        span = self.tallies.spans_by_day.get(day)
        if span is not None and day in self.tallies.rated:
            first, last = span.first_event_time, span.last_event_time
        return first >= self.stored.first - self.slack_ms and last <= self.stored.closed_to + self.slack_ms

    def _doubt(self, compared: set[int]) -> str:
        rows = sum(self.judged.values())
        known = sum(count for day, count in self.judged.items() if day in compared)
        if rows and known >= COMPARED_SHARE * rows:
            return ""
        return (
            f"only {known} of {rows} judged rows are on days on which the stored decisions can be compared with the"
            " producers' tallies"
        )


def _worst(cells: Mapping[ArmDay, Pair], design_effect: float, arm_names: tuple[str, ...]) -> TestedPart:
    """The test of the slices, of their days, of their arms, and of their arms by day."""
    levels = [_level(cells, fields) for fields in (("slice",), ("slice", "day"), ("slice", "arm"), ArmDay._fields)]
    found = [{key: pair.p_value(design_effect) for key, pair in level.items()} for level in levels]
    p_values = [smallest_of(list(level.values())) for level in found]
    if not cells or min(p_values) == 1.0:
        total = Pair(sum(pair.counted for pair in cells.values()), sum(pair.stored for pair in cells.values()))
        return TestedPart(1.0, "counts", f"{total.stored} of {total.counted} counted decisions are stored")
    index = p_values.index(min(p_values))
    key = min(found[index], key=lambda each: found[index][each])
    return TestedPart(smallest_of(p_values), "counts", _told(key, levels[index][key], arm_names))


Key = tuple[int | None, str, int | None]
"""Day, slice and arm; None where all are together."""


def _level(cells: Mapping[ArmDay, Pair], fields: tuple[str, ...]) -> dict[Key, Pair]:
    found: dict[Key, Pair] = {}
    for cell, pair in cells.items():
        key = (cell.day if "day" in fields else None, cell.slice, cell.arm if "arm" in fields else None)
        found[key] = found.get(key, Pair()).plus(pair)
    return found


def _told(key: Key, pair: Pair, arm_names: tuple[str, ...]) -> str:
    day, slice_name, arm = key
    when = "over all compared days" if day is None else f"on {utc_day(day)}"
    of_arm = "" if arm is None else f", arm {arm_names[arm] if arm < len(arm_names) else arm}"
    where = f"{when}, {slice_name}{of_arm}"
    if pair.stored < pair.counted:
        return f"{where}: {pair.counted - pair.stored} of {pair.counted} counted decisions are not stored"
    return f"{where}: {pair.stored} decisions are stored, but {pair.counted} were counted"


def _consistent(cells: Mapping[ArmDay, Pair], day: int, design_effect: float) -> bool:
    """Whether a day that is not whole lacks nothing."""
    of_day = {key: pair for key, pair in cells.items() if key.day == day}
    return _worst(of_day, design_effect, ()).p_value >= CONSISTENT
