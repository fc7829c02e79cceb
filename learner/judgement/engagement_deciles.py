"""How engagement is spread over users, and what clipping rewards leaves out (PRL-PUTS, appendix A.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DECILES = 10


@dataclass(frozen=True, slots=True)
class EngagementDecile:
    """A tenth of the users: their number, explored decisions, mean count per decision and share of all engagement."""

    users: int
    decisions: int
    mean: float
    share: float


@dataclass(frozen=True, slots=True)
class EngagementDeciles:
    """One outcome, users with the least engagement per decision first.

    at_most_clip   share of decisions whose count is at most the clip
    clipped_away   share of all counts that lies above the clip and so is no reward
    rewarded       share of decisions with a count above 0
    refusal        why there are no deciles; else None
    """

    deciles: tuple[EngagementDecile, ...]
    decisions: int
    at_most_clip: float
    clipped_away: float
    rewarded: float
    refusal: str | None = None


def engagement_deciles(
    counts: NDArray[np.float64], units: NDArray[np.int64], observed: NDArray[np.bool_], clip: float
) -> EngagementDeciles:
    """Of counts float64[n] >= 0 before clipping, users int64[n], and bool[n], whether the count is known."""
    known, users = counts[observed], units[observed]
    if not len(known):
        return EngagementDeciles((), 0, 0.0, 0.0, 0.0, "its counts were observed in no decision")
    number = np.unique(users, return_inverse=True)[1].reshape(-1)
    decisions = np.bincount(number)
    totals = np.bincount(number, weights=known)
    order, whole = np.argsort(totals / decisions, kind="stable"), float(known.sum())
    deciles = tuple(
        EngagementDecile(
            len(part),
            int(decisions[part].sum()),
            float(totals[part].sum() / decisions[part].sum()),
            float(totals[part].sum() / whole) if whole > 0.0 else 0.0,
        )
        for part in np.array_split(order, DECILES)
        if len(part)
    )
    over = float(np.maximum(known - clip, 0.0).sum())
    return EngagementDeciles(
        deciles=deciles,
        decisions=len(known),
        at_most_clip=float((known <= clip).mean()),
        clipped_away=over / whole if whole > 0.0 else 0.0,
        rewarded=float((known > 0.0).mean()),
    )
