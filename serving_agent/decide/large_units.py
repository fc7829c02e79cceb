"""Names exploration units that make too large a share of the traffic.

All requests of a unit explore, or none do. One that makes 1 % of the traffic would move every estimate by itself, and
is hardly one session: somebody sends one id for many users.
"""

import threading
from collections.abc import Callable

import structlog
from prometheus_client import Counter

from event_schemas.process_fork import renew_in_children
from event_schemas.shown_text import shown
from producers.delivery import log_safely

log = structlog.get_logger(__name__)

WINDOW = 100_000
"""Decisions of a node that are looked at together."""
LARGEST_SHARE = 0.001
LEAST_SEEN = 10_000
"""Decisions of a window before a unit of it is named: one long session is a large share of little traffic."""
COUNTERS = 4_000
"""Units that are counted at a time; they bound the memory."""
MOST_NAMES = 100
"""After this many names no more are logged: somebody sends such ids on purpose."""


class LargeUnits:
    """Watches the units of a node's decisions. Thread-safe.

    Counts are those of Misra and Gries (1982): too low by at most WINDOW / COUNTERS, which is 0.025 % of the window. So
    a unit above 0.125 % of a window is named, and none below 0.1 %. Each is logged once, and counted once per window.
    """

    def __init__(self, counter: Counter | None = None, tell: Callable[..., object] | None = None) -> None:
        self._counter = counter
        self._tell = tell or log.warning
        self._told: set[str] = set()
        self._begin()
        renew_in_children(self)

    def after_fork(self) -> None:
        """Starts a window; the parent continues its own."""
        self._begin()

    def note(self, unit: str) -> None:
        """Counts a decision of this unit, and names the unit if it is too large."""
        with self._lock:
            count = self._count(unit)
            large = (
                count > LARGEST_SHARE * WINDOW and self._seen >= LEAST_SEEN and unit not in self._large
            )  # cheapest first: hardly a unit passes the first condition
            if large:
                self._large.add(unit)
        if large:
            self._name(unit, count)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._start_window()

    def _start_window(self) -> None:
        self._seen = 0
        self._counts: dict[str, int] = {}
        self._large: set[str] = set()

    def _count(self, unit: str) -> int:
        """The unit's count in this window, with this decision; 0 if it is not among those counted."""
        if self._seen >= WINDOW:
            self._start_window()
        self._seen += 1
        count = self._counts.get(unit)
        if count is None and len(self._counts) >= COUNTERS:
            self._counts = {name: held - 1 for name, held in self._counts.items() if held > 1}
            return 0
        counted = 1 if count is None else count + 1
        self._counts[unit] = counted
        return counted

    def _name(self, unit: str, count: int) -> None:
        if self._counter is not None:
            self._counter.inc()
        if unit in self._told or len(self._told) >= MOST_NAMES:
            return
        self._told.add(unit)
        log_safely(
            self._tell,
            "one session makes more than 0.1 % of the traffic",
            session=shown(unit),
            decisions=count,
            of=WINDOW,
            fix="send each user's own session_id, and null for requests without a session; until then its requests"
            " explore all together, or not at all",
        )
