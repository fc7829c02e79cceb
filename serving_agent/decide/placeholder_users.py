"""Warns about callers that send a placeholder, such as `null`, as the id of a user whom they do not know."""

from collections.abc import Callable

import structlog

from event_schemas.shown_text import shown
from event_schemas.user_ids import person
from producers.delivery import log_safely

log = structlog.get_logger(__name__)


class PlaceholderUsers:
    """Warns once about each placeholder; two threads that meet the first one together may both warn."""

    def __init__(self, tell: Callable[..., object] | None = None) -> None:
        self._tell = tell or log.warning
        self._told: set[str] = set()

    def note(self, user_id: str | None) -> None:
        """Warns if this user id is a placeholder and was not warned about before."""
        if user_id is None or person(user_id) is not None or (named := user_id.strip().lower()) in self._told:
            return
        self._told.add(named)
        log_safely(
            self._tell,
            "user_id is a placeholder",
            user_id=shown(user_id),
            fix="send null for requests without a user; this id counts for no user in any split",
        )
