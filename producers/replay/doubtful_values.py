"""Counts the values of a log that can be used but were probably not meant: undeclared cohorts and placeholder users."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from event_schemas.event_bounds import meant_by
from event_schemas.records import RequestRecord
from event_schemas.shown_text import shown
from event_schemas.user_ids import person

NAMES_SHOWN = 5
log = structlog.get_logger(__name__)


class DoubtfulValues:
    """Looks at the requests of a replay. If the experiment declares no cohorts, none is undeclared."""

    def __init__(self, declared: Collection[str]) -> None:
        self._declared = frozenset(declared)
        self._names: list[str] = []
        self.undeclared_cohorts = 0
        """Rows with a cohort that the experiment does not declare: they get the default preference."""
        self.placeholder_users = 0
        """Rows whose user id names nobody, such as `null`: they count for no user in any split."""

    def note(self, request: RequestRecord) -> None:
        """Counts what is doubtful in one request."""
        user, cohort = request["user_id"], request["cohort"]
        self.placeholder_users += user is not None and person(user) is None
        if cohort is None or not self._declared or cohort in self._declared:
            return
        self.undeclared_cohorts += 1
        if cohort not in self._names and len(self._names) < NAMES_SHOWN:
            self._names.append(cohort)

    def tell(self) -> None:
        """Warns of what was found; the counts say in how many rows."""
        if self.undeclared_cohorts:
            first = self._names[0]
            meant = meant_by(first, self._declared)
            log.warning(
                "cohorts are not declared",
                rows=self.undeclared_cohorts,
                names=", ".join(map(shown, self._names)),
                fix="declare them under [[cohorts]]" if meant is None else f"write {shown(meant)} for {shown(first)}",
            )
        if self.placeholder_users:
            log.warning(
                "user ids are placeholders",
                rows=self.placeholder_users,
                fix="leave the user id of a row without a user empty; until then these rows count for no user",
            )
