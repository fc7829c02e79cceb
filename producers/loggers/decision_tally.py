"""Counts the applied decisions of one tally source: by day, slice and arm, and by exploration and day. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from event_schemas import records as r
from event_schemas.units import DAY_MS
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.recent_units import RecentUnits

LATEST_MS = (r.LAST_DAY + 1) * DAY_MS - 1
"""The last millisecond of LAST_DAY."""


@dataclass(slots=True)
class _Span:
    """The decisions of one day that were drawn with one set of exploration settings."""

    first_event_time: int
    last_event_time: int
    decisions: int = 0
    units: int = 0
    rate_sum: float = 0.0
    square_sum: float = 0.0

    def add(self, applied: AppliedDecision, earlier: int) -> None:
        """Adds a decision of a unit that has `earlier` ones in this span: its square grows from m² to (m + 1)²."""
        if applied.event_time > self.last_event_time:
            self.last_event_time = applied.event_time
        elif applied.event_time < self.first_event_time:
            self.first_event_time = applied.event_time
        self.decisions += 1
        self.units += earlier == 0
        self.rate_sum += applied.exploration_rate
        self.square_sum += 2 * earlier + 1


class DecisionTally:
    """The decisions that one tally source has counted so far.

    `number` tells the sources of a process apart. `units` may be shared by sources that follow each other: a unit
    whose decisions are in two of them counts in the first only, and the sums over both are those of a single source.
    Days are UTC days of event times; a time before 1970 or after LAST_DAY counts as the nearest one in between. Not
    thread-safe: DecisionLogger counts and copies under its lock.
    """

    def __init__(self, number: int, units: RecentUnits) -> None:
        self.number = number
        self.decisions = 0
        self._units = units
        self._arms: Counter[tuple[int, str, int]] = Counter()
        self._spans: dict[tuple[str, int], _Span] = {}

    @property
    def rows(self) -> int:
        """Rows of the tables in the record."""
        return len(self._arms) + len(self._spans)

    def add(self, applied: AppliedDecision) -> None:
        """Counts one decision."""
        if not 0 <= applied.event_time <= LATEST_MS:  # one absurd time must not make readers refuse the whole table
            applied = applied._replace(event_time=min(max(applied.event_time, 0), LATEST_MS))
        day = applied.event_time // DAY_MS
        self.decisions += 1
        self._arms[day, applied.slice, applied.arm] += 1
        if applied.exploration is None:
            return
        key = (applied.exploration, day)
        span = self._spans.get(key)
        if span is None:
            span = self._spans[key] = _Span(applied.event_time, applied.event_time)
        span.add(applied, self._units.note((applied.exploration, day, applied.unit)))

    def copy(self) -> DecisionTally:
        """The state so far; a copy is quick, so that a record can be built from it without holding a lock."""
        found = DecisionTally(self.number, self._units)
        found.decisions = self.decisions
        found._arms = self._arms.copy()
        found._spans = {key: replace(span) for key, span in self._spans.items()}
        return found

    def record(self, source: str, event_time: int) -> r.TallyRecord:
        """The Tally, with its rows in order."""
        slices: Counter[str] = Counter()
        for (_, name, _), count in self._arms.items():
            slices[name] += count
        return {
            "event_time": event_time,
            "source": source,
            "counts": [{"slice": name, "count": count} for name, count in sorted(slices.items())],
            "arms": [
                {"day": day, "slice": name, "arm": arm, "count": count}
                for (day, name, arm), count in sorted(self._arms.items())
            ],
            "spans": [_span_record(digest, span) for (digest, _), span in sorted(self._spans.items(), key=_key)],
        }


def _key(entry: tuple[tuple[str, int], _Span]) -> tuple[str, int]:
    return entry[0]


def _span_record(digest: str, span: _Span) -> r.ExplorationSpanRecord:
    return {
        "exploration": digest,
        "first_event_time": span.first_event_time,
        "last_event_time": span.last_event_time,
        "decisions": span.decisions,
        "units": span.units,
        "rate_sum": span.rate_sum,
        "square_sum": span.square_sum,
    }
