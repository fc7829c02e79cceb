"""Log lines about request_ids that never come to rest.

A decision is remembered until a window has passed without an event of it, and a restart reads the log again from the
first event of the oldest one. A request_id that is sent for ever (a constant like `undefined`, or a session's id) holds
the committed offset back for ever. Nothing goes wrong until a restart, which takes longer and longer and in the end
needs records that retention has deleted. Only the producer can fix it; these lines name the id.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from stream_processors.partition.first_offset import FirstOffset

WINDOWS = 4
"""From this age on, in windows, a decision is reported. An ordinary one is forgotten after two."""
log = structlog.get_logger(__name__)


class StuckRequestIds:
    """Reports a partition's oldest decision when it is `WINDOWS` windows old, and again whenever its age doubled."""

    def __init__(self, window_ms: int, tell: Callable[..., object] | None = None) -> None:
        self._window = window_ms
        self._tell = tell or log.warning
        self._next: dict[int, tuple[int, int]] = {}
        """By partition: the first offset of the decision that was reported last, and the age of its next report."""

    def warn_if_stuck(self, partition: int, oldest: FirstOffset | None, watermark: int | None) -> None:
        """Reports the oldest decision that a partition remembers, if a report is due at this watermark (ms)."""
        if oldest is None or watermark is None:
            return
        age, least = watermark - oldest.reached, WINDOWS * self._window
        reported, next_age = self._next.get(partition, (None, least))
        if age < (next_age if reported == oldest.offset else least):
            return
        self._next[partition] = (oldest.offset, 2 * age)
        self._tell(
            "a request_id never comes to rest",
            partition=partition,
            offset=oldest.offset,
            request_id=oldest.key.decode(),
            windows=age // self._window,
            fix="its producer must not use it again: restarts read the log from this offset",
        )
