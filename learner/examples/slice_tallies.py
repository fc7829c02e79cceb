"""How much traffic explored, by the producers' own counts: tests whether exploration was drawn at its rates.

Producers count every decision, logged or not. EXPLORE is drawn with probability ε_t ≤ ε, which caps and kills may lower
but nothing raises. Tallies of version 2 say Σ ε_t, and the explored decisions must be neither more nor fewer than that.
Where it is unknown, they are stochastically at most Binomial(n, ε).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from event_schemas.slices import Slice
from event_schemas.units import DAY_MS
from learner.examples.binomial_tails import p_at_least, p_at_most


class ArmDay(NamedTuple):
    """Decisions of one slice and arm on one UTC day of event times, in days since the epoch."""

    day: int
    slice: str
    arm: int


class SpanDay(NamedTuple):
    """Decisions of one UTC day that were drawn with the exploration settings of one digest."""

    exploration: str
    day: int


@dataclass(frozen=True, slots=True)
class SpanTotal:
    """Decisions of a span, summed over sources; times in ms.

    `rate_sum` is Σ ε_t. `units` is at most too high and `square_sum`, Σ m² over units of m decisions, at most too low:
    a unit whose decisions are spread over several processes counts in each.
    """

    first_event_time: int
    last_event_time: int
    decisions: int
    units: int
    rate_sum: float
    square_sum: float

    @property
    def variance(self) -> float:
        """The variance of the number of explored decisions: ε̄·(1 − ε̄)·Σ m², at least if rates do not move."""
        rate = min(1.0, self.rate_sum / self.decisions) if self.decisions else 0.0
        return rate * (1.0 - rate) * self.square_sum

    def plus(self, other: "SpanTotal") -> "SpanTotal":
        """Both together."""
        return SpanTotal(
            min(self.first_event_time, other.first_event_time),
            max(self.last_event_time, other.last_event_time),
            self.decisions + other.decisions,
            self.units + other.units,
            self.rate_sum + other.rate_sum,
            self.square_sum + other.square_sum,
        )


@dataclass(frozen=True, slots=True)
class RatedDecisions:
    """Decisions whose rates are known: `explored` of `decisions`, with mean `rate_sum` = Σ ε_t."""

    decisions: int = 0
    explored: int = 0
    rate_sum: float = 0.0
    variance: float = 0.0

    def plus(self, other: "RatedDecisions") -> "RatedDecisions":
        """Both together."""
        return RatedDecisions(
            self.decisions + other.decisions,
            self.explored + other.explored,
            self.rate_sum + other.rate_sum,
            self.variance + other.variance,
        )

    def p_value(self, design_effect: float, *, may_be_fewer: bool = False) -> float:
        """The p-value of `explored`, with the larger of the tallied and the given design effect.

        It is two-sided, or, if there `may_be_fewer`, that of too many. 1 without decisions.
        """
        if not self.decisions:
            return 1.0
        rate = min(1.0, self.rate_sum / self.decisions)
        binomial_variance = self.decisions * rate * (1.0 - rate)
        if binomial_variance > 0.0:
            design_effect = max(design_effect, self.variance / binomial_variance)
        numbers = (self.explored, self.decisions, rate, design_effect)
        if may_be_fewer:
            return p_at_least(*numbers)
        return min(1.0, 2.0 * min(p_at_least(*numbers), p_at_most(*numbers)))


@dataclass(frozen=True)
class SliceTallies:
    """Decisions so far by slice, summed over sources; `left_out` is the number of ignored records by reason.

    `arms` and `spans` are the same decisions by day, as far as producers say: those of version 1 do not, and then the
    sums are below `decisions`. Such decisions were counted until `undated_until` (ms), the newest tally without days.
    Sources whose last tally was before `kept_from` (ms) may have been deleted; None if nothing was.
    """

    counts: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)
    arms: Mapping[ArmDay, int] = field(default_factory=dict)
    spans: Mapping[SpanDay, SpanTotal] = field(default_factory=dict)
    undated_until: int | None = None
    kept_from: int | None = None

    @property
    def decisions(self) -> int:
        """Decisions in all slices."""
        return sum(self.counts.values())

    @cached_property
    def by_day(self) -> Mapping[int, Counter[str]]:
        """Decisions by UTC day, then slice, as far as days are known."""
        found: defaultdict[int, Counter[str]] = defaultdict(Counter)
        for key, count in self.arms.items():
            found[key.day][key.slice] += count
        return dict(found)

    @cached_property
    def spans_by_day(self) -> Mapping[int, SpanTotal]:
        """The spans of each UTC day together."""
        found: dict[int, SpanTotal] = {}
        for key, total in self.spans.items():
            found[key.day] = total if key.day not in found else found[key.day].plus(total)
        return found

    @cached_property
    def rated(self) -> Mapping[int, RatedDecisions]:
        """The decisions of each UTC day, where the rates of all of them are known."""
        variance: defaultdict[int, float] = defaultdict(float)
        for key, total in self.spans.items():
            variance[key.day] += total.variance
        return {
            day: RatedDecisions(total.decisions, self.by_day[day][Slice.EXPLORE], total.rate_sum, variance[day])
            for day, total in self.spans_by_day.items()
            if total.decisions == sum(self.by_day.get(day, {}).values())
        }

    @cached_property
    def undated(self) -> Mapping[str, int]:
        """The decisions by slice that no tally places on a day."""
        left = Counter(self.counts)
        for slices in self.by_day.values():
            left.subtract(slices)
        return left

    def dated(self, day: int) -> bool:
        """Whether all decisions of this UTC day are known to be counted under it."""
        known = max((each // DAY_MS for each in (self.undated_until, self.kept_from) if each is not None), default=-1)
        return day > known
