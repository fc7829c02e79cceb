"""What the two commands of the suite share: quiet clients, an orderly end, errors in two lines."""

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
    """Run it as a command of its own; every process it started is ended also at SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # That a broker is away is the experiment, not news.
    logging.getLogger("trimtab").setLevel(logging.CRITICAL)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    stamina.instrumentation.set_on_retry_hooks([])
    try:
        typer.run(command)
    except TrimtabError as fault:
        sys.exit(f"error: {fault.what}\nfix: {fault.fix}")


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal; wide enough for the table where there is none."""
    found = Console(stderr=stderr)
    return found if found.is_terminal else Console(stderr=stderr, width=WIDTH)
