"""How much traffic explored, by the producers' own counts: tests whether exploration was drawn at its rates.

Producers count every decision, logged or not. EXPLORE is drawn with probability ε_t ≤ ε, which caps and kills may lower
but nothing raises. Tallies of version 2 say Σ ε_t, and the explored decisions must be neither more nor fewer than that.
Where it is unknown, they are stochastically at most Binomial(n, ε).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from event_schemas.slices import Slice
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
    """Decisions of tallies that say the rate of each: `explored` of `decisions`, with mean `rate_sum` = Σ ε_t."""

    decisions: int = 0
    explored: int = 0
    rate_sum: float = 0.0
    variance: float = 0.0

    def p_value(self, design_effect: float, *, may_be_fewer: bool = False) -> float:
        """The p-value of `explored`, with the larger of the tallied and the given design effect.

        It is two-sided, or, if there `may_be_fewer`, that of too many.
        """
        rate = min(1.0, self.rate_sum / self.decisions)
        binomial_variance = self.decisions * rate * (1.0 - rate)
        if binomial_variance > 0.0:
            design_effect = max(design_effect, self.variance / binomial_variance)
        numbers = (self.explored, self.decisions, rate, design_effect)
        if may_be_fewer:
            return p_at_least(*numbers)
        return min(1.0, 2.0 * min(p_at_least(*numbers), p_at_most(*numbers)))


@dataclass(frozen=True, slots=True)
class SliceTallies:
    """Decisions so far by slice, summed over sources; `left_out` is the number of ignored records by reason.

    `arms` and `spans` are the same decisions by day, as far as producers say: those of version 1 do not, and then the
    sums are below `decisions`. `rated` are the decisions of tallies whose spans cover all their decisions.
    """

    counts: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)
    arms: Mapping[ArmDay, int] = field(default_factory=dict)
    spans: Mapping[SpanDay, SpanTotal] = field(default_factory=dict)
    rated: RatedDecisions = RatedDecisions()

    @property
    def decisions(self) -> int:
        """Decisions in all slices."""
        return sum(self.counts.values())

    @property
    def explored(self) -> int:
        """Decisions in EXPLORE."""
        return self.counts.get(Slice.EXPLORE, 0)

    def account(self, exploration_rate: float) -> str:
        """What was counted and what was to be expected, in words."""
        counted, rated = f"{self.explored} of {self.decisions} tallied decisions explored", self.rated
        if not rated.decisions:
            return f"{counted}, allowed share {exploration_rate:g}"
        expected = f"of {rated.decisions} with known rates {rated.explored}, expected {rated.rate_sum:.1f}"
        others = "" if rated.decisions == self.decisions else f", allowed share of the others {exploration_rate:g}"
        return f"{counted}; {expected}{others}"

    def p_value(
        self, exploration_rate: float, design_effect: float = 1.0, *, may_be_fewer: bool = False
    ) -> float | None:
        """The p-value of the hypothesis that exploration was drawn as intended; None without decisions.

        Two-sided against Σ ε_t for rated decisions. For all others P(at least this many explored | every ε_t =
        `exploration_rate`), as too few may be a cap or a kill. If there are both, the smaller, doubled (Bonferroni).
        `design_effect`, at least 1, is that of exploration units over all processes. Fewer than Σ ε_t are no evidence
        if there `may_be_fewer`.
        """
        decisions, explored = self.decisions - self.rated.decisions, self.explored - self.rated.explored
        found = [self.rated.p_value(design_effect, may_be_fewer=may_be_fewer)] if self.rated.decisions else []
        if decisions:
            found.append(p_at_least(explored, decisions, exploration_rate, design_effect))
        return min(1.0, len(found) * min(found)) if found else None
