"""How much more the number of explored decisions varies because all decisions of an exploration unit share one draw."""

from collections import Counter
from collections.abc import Iterable

from event_schemas.exploration_units import Unit, unit_of


def design_effect(request_ids: Iterable[str], unit: Unit) -> float:
    """Σ m² / Σ m over units of m requests, at least 1; 1 without requests.

    `request_ids` are those of explored decisions. Exploration draws units without regard to their size, so the explored
    ones have the sizes of all. Unlike the sums that processes tally, the examples of a unit are together, however many
    processes served it.
    """
    if unit == "request":
        return 1.0
    sizes = Counter(unit_of(request_id, unit) for request_id in request_ids).values()
    return sum(size * size for size in sizes) / sum(sizes) if sizes else 1.0
