"""What validation makes of a log record: an event that the join can hold, or a malformed one."""

from __future__ import annotations

from typing import NamedTuple

from event_schemas.log_record import LogRecord

EngagementFields = tuple[str, str, float]
"""What the join needs to know of an engagement: engagement_id, kind, value. A plain tuple, because there are many."""


class InputEvent(NamedTuple):
    """A valid record of the events topic; `request_id` is empty for a Heartbeat.

    `datum` are its Avro bytes in the newest schema, ready to be nested in an Example; no bytes for an Engagement or a
    Heartbeat, which no Example nests. `claims` are those of an Action or a Propensity (`rule.claims`).
    """

    record: LogRecord
    name: str
    request_id: str
    event_time: int
    datum: bytes = b""
    engagement: EngagementFields | None = None
    claims: int = 0

    @property
    def offset(self) -> int:
        """Its place in the log."""
        return self.record.offset


class MalformedEvent(NamedTuple):
    """A record that is no event: why not, and what could be read of it."""

    record: LogRecord
    detail: str
    request_id: str | None = None
    event_time: int | None = None
