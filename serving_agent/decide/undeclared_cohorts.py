"""Counts requests whose cohort the experiment does not declare, and warns about each such name once."""

from collections.abc import Callable, Collection

import structlog
from prometheus_client import Counter

from event_schemas.event_bounds import meant_by
from event_schemas.shown_text import shown
from producers.delivery import log_safely

log = structlog.get_logger(__name__)

MOST_NAMES = 100
"""After this many names no more are warned about: somebody sends one for each request."""


class UndeclaredCohorts:
    """An undeclared cohort gets the preference of requests without one, so a slip in its name would pass unnoticed.

    If the experiment declares no cohorts, none is undeclared. Two threads that meet a name together may both warn.
    """

    def __init__(
        self, declared: Collection[str], counter: Counter | None, tell: Callable[..., object] | None = None
    ) -> None:
        self._declared = frozenset(declared)
        self._counter = counter
        self._tell = tell or log.warning
        self._told: set[str] = set()

    def note(self, cohort: str | None) -> None:
        """Counts this cohort if it is undeclared, and warns if it was not warned about before."""
        if cohort is None or not self._declared or cohort in self._declared:
            return
        if self._counter is not None:
            self._counter.inc()
        if cohort in self._told or len(self._told) >= MOST_NAMES:
            return
        self._told.add(cohort)
        meant = meant_by(cohort, self._declared)
        fix = "declare it under [[cohorts]]" if meant is None else f"send {shown(meant)}"
        log_safely(
            self._tell,
            "cohort is not declared",
            cohort=shown(cohort),
            fix=f"{fix}; until then its requests get the default preference",
        )
