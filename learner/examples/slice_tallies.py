"""How much traffic explored, by the producers' own counts: tests whether exploration stayed below its cap.

Producers count every decision by slice, logged or not. EXPLORE is drawn with probability ε_t ≤ ε, which caps and kills
may lower but nothing raises, so its count among n decisions is stochastically at most Binomial(n, ε).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scipy.special import betainc

from event_schemas.slices import Slice

EXACT_UP_TO = 1e15
"""Up to this many decisions the binomial tail is computed exactly; beyond 10¹⁷ the function loses its precision."""


@dataclass(frozen=True, slots=True)
class SliceTallies:
    """Decisions so far by slice, summed over sources; `left_out` is the number of ignored records by reason."""

    counts: Mapping[str, int]
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def decisions(self) -> int:
        """Decisions in all slices."""
        return sum(self.counts.values())

    @property
    def explored(self) -> int:
        """Decisions in EXPLORE."""
        return self.counts.get(Slice.EXPLORE, 0)

    def p_value(self, exploration_rate: float) -> float | None:
        """P(at least this many explored | every ε_t = `exploration_rate`); None without decisions.

        A small value means that too many explored. More than 10¹⁵ decisions count as 10¹⁵ with the same explored share,
        which is weaker evidence.
        """
        if self.decisions == 0:
            return None
        scale = min(1.0, EXACT_UP_TO / self.decisions)
        decisions, explored = self.decisions * scale, self.explored * scale
        if explored == 0.0:
            return 1.0
        return float(betainc(explored, decisions - explored + 1.0, exploration_rate))
