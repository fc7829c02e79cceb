"""The tables of a tally: decisions by day, slice and arm, and by exploration settings and day; checked, then summed."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from event_schemas.records import LAST_DAY
from event_schemas.slices import Slice
from event_schemas.units import DAY_MS
from learner.examples.slice_tallies import ArmDay, RatedDecisions, SliceTallies, SpanDay, SpanTotal

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
    """The sum of tallies, one of each source."""

    counts: Counter[str] = field(default_factory=Counter)
    arms: Counter[ArmDay] = field(default_factory=Counter)
    spans: dict[SpanDay, SpanTotal] = field(default_factory=dict)
    rated: RatedDecisions = field(default_factory=RatedDecisions)

    def add(self, counts: Mapping[str, int], arms: Rows = (), spans: Rows = ()) -> None:
        """Add a tally without faults."""
        self.counts.update(counts)
        for row in arms:
            self.arms[ArmDay(row["day"], row["slice"], row["arm"])] += row["count"]
        totals = [(_span_day(row), _span_total(row)) for row in spans]
        for key, total in totals:
            self.spans[key] = total if key not in self.spans else self.spans[key].plus(total)
        decisions = sum(total.decisions for _, total in totals)
        if decisions == sum(counts.values()):
            self.rated = RatedDecisions(
                self.rated.decisions + decisions,
                self.rated.explored + counts.get(Slice.EXPLORE, 0),
                self.rated.rate_sum + math.fsum(total.rate_sum for _, total in totals),
                self.rated.variance + math.fsum(total.variance for _, total in totals),
            )

    def result(self, left_out: Mapping[str, int]) -> SliceTallies:
        """The sums."""
        return SliceTallies(dict(self.counts), left_out, dict(self.arms), self.spans, self.rated)


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
