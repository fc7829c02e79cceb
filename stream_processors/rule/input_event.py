"""What validation makes of a log record: an event that the join can hold, or a malformed one."""

from __future__ import annotations

from typing import NamedTuple

from event_schemas.codec import HEADER
from event_schemas.log_record import LogRecord

EngagementFields = tuple[str, str, float]
"""What the join needs to know of an engagement: engagement_id, kind, value. A plain tuple, because there are many."""


class InputEvent(NamedTuple):
    """A valid record of the events topic; `request_id` is empty for a Heartbeat.

    `resolved` is the datum in the newest schema if the writer used an older one, else None.
    """

    record: LogRecord
    name: str
    request_id: str
    event_time: int
    engagement: EngagementFields | None = None
    resolved: bytes | None = None

    @property
    def offset(self) -> int:
        """Its place in the log."""
        return self.record.offset

    @property
    def datum(self) -> bytes:
        """Its Avro bytes in the newest schema, ready to be nested in an Example."""
        if self.resolved is not None:
            return self.resolved
        value = self.record.value
        return b"" if value is None else value[HEADER.size :]


class MalformedEvent(NamedTuple):
    """A record that is no event: why not, and what could be read of it."""

    record: LogRecord
    detail: str
    request_id: str | None = None
    event_time: int | None = None
