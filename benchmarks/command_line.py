"""One way to run a benchmark from the command line, and to report its figures or an error."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import typer

from benchmarks.bench_broker import tell
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
        sys.stderr.write(f"error: {fault.what}\nfix: {fault.fix}\n")
        sys.exit(1)


def report(result: Mapping[str, Any], as_json: bool) -> None:
    """Every figure on a line of stderr, and with `as_json` all as one JSON object on stdout."""
    for name, value in result.items():
        tell(f"{name}: {value}")
    if as_json:
        typer.echo(json.dumps(result))
