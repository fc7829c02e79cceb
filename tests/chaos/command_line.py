"""What the two commands of the suite share: quiet clients, clean termination, and errors in two lines."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable
from typing import Any

import stamina.instrumentation
import typer
from rich.console import Console

from event_schemas.errors import TrimtabError

WIDTH = 160


def main(command: Callable[..., Any]) -> None:
    """Run `command` from the command line; on SIGTERM too, every process that it started is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # The experiments take the broker down on purpose, so these log lines would only be noise.
    logging.getLogger("trimtab").setLevel(logging.CRITICAL)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        typer.run(command)
    except TrimtabError as fault:
        sys.exit(f"error: {fault.what}\nfix: {fault.fix}")


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, or wide enough for the table if there is no terminal."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=WIDTH)
