"""Appends to a directory of segments in a process that dies in their midst.

The processes are forked from one that has imported all code and has done nothing yet: a start takes seconds.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import polars as pl

from learner.examples.segment_store import SegmentStore

TOPIC = "t"


@dataclass(frozen=True, slots=True)
class Death:
    """After which step of the commit protocol, or before which operation on a file of the directory; 0: not."""

    step: int = 0
    operation: int = 0


@dataclass(frozen=True, slots=True)
class Append:
    """Rows with these request times are appended, and the next offset is `offset`; retention in ms."""

    directory: Path
    times: Sequence[int]
    offset: int
    retention: int


def died(append: Append, death: Death) -> tuple[int | None, int]:
    """The exit code of a process that appends, and how many operations on files it did (0 if it died)."""
    return dying(_append, append, death)


def dying(act: Callable[[Any, Callable[[int], None]], None], order: Any, death: Death) -> tuple[int | None, int]:
    """As `died` for an act that gets the order and what it must call after each step; `order` has a `directory`."""
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_live, args=(act, order, death, send))
    process.start()
    send.close()
    try:
        operations: int = receive.recv()
    except EOFError:
        operations = 0
    process.join()
    return process.exitcode, operations


def _live(act: Callable[[Any, Callable[[int], None]], None], order: Any, death: Death, send: Any) -> None:
    directory, operations = str(order.directory), 0

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal operations
        if event in ("open", "os.rename", "os.remove") and str(arguments[0]).startswith(directory):
            operations += 1
            if operations == death.operation:
                die()

    def after_step(step: int) -> None:
        if step == death.step:
            die()

    sys.addaudithook(count)
    act(order, after_step)
    send.send(operations)


def _append(order: Append, after_step: Callable[[int], None]) -> None:
    frame = pl.DataFrame(
        {
            "request_request_id": [f"r{at}" for at in order.times],
            "request_event_time": list(order.times),
            "mark": [""] * len(order.times),
        }
    )
    with SegmentStore(order.directory, TOPIC, order.retention, after_step) as store:
        store.append(frame, {0: order.offset})
