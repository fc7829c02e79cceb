"""Logging for threads that must continue when a line cannot be written, as on a full disk or a closed stream."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from structlog import _output

from event_schemas.process_fork import renew_in_children


def log_safely(write: Callable[..., Any], event: str, /, **fields: object) -> None:
    """Calls `write(event, **fields)`, a method of a logger, and ignores anything it raises."""
    with contextlib.suppress(Exception):
        write(event, **fields)


class _StreamLocks:
    """Clears structlog's stream locks in a forked child: a thread of the parent may have held one during the fork."""

    def __init__(self) -> None:
        renew_in_children(self)

    def after_fork(self) -> None:
        _output.WRITE_LOCKS.clear()


_stream_locks = _StreamLocks()
