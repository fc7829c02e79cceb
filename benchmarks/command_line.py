"""One way to run a benchmark from the command line, and to report an error."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import typer

from event_schemas.errors import TrimtabError


def run_command(command: Callable[..., None]) -> None:
    """Parses the arguments and runs `command`; a TrimtabError ends as two lines on stderr and exit code 1.

    SIGTERM ends it in order, so that the broker ends with it.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except TrimtabError as fault:
        sys.stderr.write(f"error: {fault.what}\nmend: {fault.mend}\n")
        sys.exit(1)
