"""Warns about callers whose request ids leave out their session, in an experiment that draws a coin by session."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from event_schemas.exploration_units import unit_of
from event_schemas.shown_text import shown
from event_schemas.user_ids import person
from producers.delivery import log_safely

log = structlog.get_logger(__name__)


class UnnamedSessions:
    """Warns once: such requests are drawn by themselves, so hardly any two of a session are together; nothing else
    shows it.

    Two threads that meet the first one together may both warn.
    """

    def __init__(self, tell: Callable[..., object] | None = None) -> None:
        self._tell = tell or log.warning
        self._told = False

    def note(self, request_id: str, session_id: str | None) -> None:
        """Warns if a request has a session that its id does not name, and nothing was warned about before."""
        if self._told or person(session_id) is None or unit_of(request_id, "session") != request_id:
            return
        self._told = True
        log_safely(
            self._tell,
            "a request_id does not name its session",
            request_id=shown(request_id),
            session_id=shown(session_id),
            fix="send no request_id, or write <session>~<unique>; until then such requests are drawn by themselves",
        )
