"""How much traffic explored, by the producers' own count: the capped slice must stay capped.

Producers tally every decision by slice, logged or not. EXPLORE is drawn with probability ε_t ≤ ε, lowered by caps and
kills and never raised, so its count among n decisions is stochastically below Binomial(n, ε).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scipy.special import bdtrc

from event_schemas.slices import Slice


@dataclass(frozen=True, slots=True)
class SliceTallies:
    """Decisions so far by slice, summed over sources."""

    counts: Mapping[str, int]

    @property
    def decisions(self) -> int:
        """All decisions of all slices."""
        return sum(self.counts.values())

    @property
    def explored(self) -> int:
        """Decisions in EXPLORE."""
        return self.counts.get(Slice.EXPLORE, 0)

    def p_value(self, exploration_rate: float) -> float | None:
        """P(at least this many explored | every ε_t = `exploration_rate`); None without decisions. Small = too many."""
        if self.decisions == 0:
            return None
        return 1.0 if self.explored == 0 else float(bdtrc(self.explored - 1, self.decisions, exploration_rate))
