"""The tables of a tally: decisions by day, slice and arm, and by exploration settings and day; checked, then summed."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from event_schemas.records import LAST_DAY
from event_schemas.slices import Slice
from event_schemas.units import DAY_MS
from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal

MOST_DECISIONS = 10**12
"""The most that one source can count in one slice: a source is one process, and 10¹² is 1,000 a second for 30 years."""
SUM_SLACK = 1e-6
"""How far a sum of rates may exceed its bound, relative to it."""
Rows = Sequence[Mapping[str, Any]]


def table_fault(counts: Mapping[str, int], arms: Rows, spans: Rows) -> str | None:
    """Why the tables of a tally with these counts by slice cannot be true; None if they can. Empty tables can."""
    named = (_arm_fault(row) for row in arms)
    timed = (_span_fault(row) for row in spans)
    return next((fault for part in (named, timed) for fault in part if fault), None) or _sum_fault(counts, arms, spans)


@dataclass
class TallyTotals:
    """The sum of tallies, one of each source; see `SliceTallies`."""

    counts: Counter[str] = field(default_factory=Counter)
    arms: Counter[ArmDay] = field(default_factory=Counter)
    spans: dict[SpanDay, SpanTotal] = field(default_factory=dict)
    undated_until: int | None = None
    kept_from: int | None = None

    def add(self, counts: Mapping[str, int], arms: Rows = (), spans: Rows = (), *, told_at: int = 0) -> None:
        """Add a tally without faults, of the event time `told_at` (ms)."""
        if not arms and any(counts.values()):
            self.add_undated(counts, told_at)
            return
        self.counts.update(counts)
        for row in arms:
            self.arms[ArmDay(row["day"], row["slice"], row["arm"])] += row["count"]
        for row in spans:
            key, total = _span_day(row), _span_total(row)
            self.spans[key] = total if key not in self.spans else self.spans[key].plus(total)

    def add_undated(self, counts: Mapping[str, int], told_at: int) -> None:
        """Add a tally that says nothing of days, or whose tables are no good."""
        self.counts.update(counts)
        self.undated_until = max(told_at, self.undated_until or 0)

    def result(self, left_out: Mapping[str, int]) -> SliceTallies:
        """The sums."""
        dated = (self.undated_until, self.kept_from)
        return SliceTallies(dict(self.counts), left_out, dict(self.arms), self.spans, *dated)


def _arm_fault(row: Mapping[str, Any]) -> str | None:
    if row["slice"] not in set(Slice):
        return "an unknown slice in arms"
    if not 0 <= row["day"] <= LAST_DAY:
        return f"day {row['day']} in arms"
    if row["arm"] < 0 or not 0 <= row["count"] <= MOST_DECISIONS:
        return f"arm {row['arm']} with {row['count']} decisions"
    return None


def _span_fault(row: Mapping[str, Any]) -> str | None:
    first, last, decisions = row["first_event_time"], row["last_event_time"], row["decisions"]
    if not 0 <= first <= last or first // DAY_MS != last // DAY_MS or first // DAY_MS > LAST_DAY:
        return f"a span from {first} to {last}"
    if not 0 <= row["units"] <= decisions <= MOST_DECISIONS * len(Slice):
        return f"a span with {decisions} decisions of {row['units']} units"
    if not 0.0 <= row["rate_sum"] <= decisions * (1.0 + SUM_SLACK):
        return f"a span with {decisions} decisions and the sum of rates {row['rate_sum']}"
    if not decisions <= row["square_sum"] < math.inf:
        return f"a span with {decisions} decisions and the sum of squares {row['square_sum']}"
    return None


def _sum_fault(counts: Mapping[str, int], arms: Rows, spans: Rows) -> str | None:
    if _repeated((row["day"], row["slice"], row["arm"]) for row in arms):
        return "arms names a day, slice and arm twice"
    if _repeated(_span_day(row) for row in spans):
        return "spans names a digest and day twice"
    by_slice, by_day, spanned = Counter[str](), Counter[int](), Counter[int]()
    for row in arms:
        by_slice[row["slice"]] += row["count"]
        by_day[row["day"]] += row["count"]
    for row in spans:
        spanned[_span_day(row).day] += row["decisions"]
    if arms and by_slice != Counter(counts):
        return "arms and counts differ"
    if (arms and not spanned <= by_day) or spanned.total() > sum(counts.values()):
        return "spans has more decisions than there are"
    return None


def _repeated(keys: Iterable[tuple[Any, ...]]) -> bool:
    seen: set[tuple[Any, ...]] = set()
    return any(key in seen or seen.add(key) for key in keys)  # type: ignore[func-returns-value]


def _span_day(row: Mapping[str, Any]) -> SpanDay:
    return SpanDay(row["exploration"], row["first_event_time"] // DAY_MS)


def _span_total(row: Mapping[str, Any]) -> SpanTotal:
    return SpanTotal(
        row["first_event_time"],
        row["last_event_time"],
        row["decisions"],
        row["units"],
        row["rate_sum"],
        row["square_sum"],
    )
