"""Log lines from threads that must go on when a line cannot be written: a full disk, a closed stream."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from structlog import _output

from event_schemas.process_fork import renew_in_children


def log_safely(write: Callable[..., Any], event: str, /, **fields: object) -> None:
    """Calls `write(event, **fields)`, a method of a logger, and passes over anything it raises."""
    with contextlib.suppress(Exception):
        write(event, **fields)


class _StreamLocks:
    """structlog's lock of each stream, which a thread of the parent may have held while a pipe was full."""

    def __init__(self) -> None:
        renew_in_children(self)

    def after_fork(self) -> None:
        _output.WRITE_LOCKS.clear()


_stream_locks = _StreamLocks()
