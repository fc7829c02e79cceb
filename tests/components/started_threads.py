"""The threads that a piece of a test starts, whatever threads of other tests end meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 10.0


@contextmanager
def no_thread_starts() -> Iterator[None]:
    """Within the block no thread starts that still runs at its end."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@contextmanager
def every_thread_ends() -> Iterator[None]:
    """The threads that start within the block end soon after it: some are told to end and not waited for."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + SECONDS
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(threading.enumerate()) - before == set()
