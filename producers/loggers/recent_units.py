"""Counts the decisions of each exploration unit, for the units that decided last. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

MOST_UNITS = 50_000
"""Units remembered: about 11 MB, and the sessions of 15 minutes at 55 new sessions a second."""


class RecentUnits:
    """How many decisions each of the `most` units that decided last has had. Not thread-safe.

    Memory is bounded: the unit that has been silent longest is forgotten first, and counts as new if it returns. So
    the number of units is an upper bound of the true one, and the sum of their squared decisions a lower bound. Both
    are exact while at most `most` units are active at a time. Units are kept as 64-bit hashes: two
    of 50,000 share one with a probability of 7·10⁻¹¹.
    """

    def __init__(self, most: int = MOST_UNITS) -> None:
        self._most = most
        self._decisions: OrderedDict[int, int] = OrderedDict()

    def note(self, unit: Hashable) -> int:
        """Counts one decision of `unit` and returns how many it had before."""
        key = hash(unit)
        earlier = self._decisions.pop(key, 0)
        self._decisions[key] = earlier + 1
        if len(self._decisions) > self._most:
            self._decisions.popitem(last=False)
        return earlier
