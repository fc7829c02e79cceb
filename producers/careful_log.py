"""Log lines from threads that must go on when a line cannot be written: a full disk, a closed stream."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any


def tell(write: Callable[..., Any], event: str, /, **fields: object) -> None:
    """Calls `write(event, **fields)`, a method of a logger, and passes over anything it raises."""
    with contextlib.suppress(Exception):
        write(event, **fields)
