"""Runs a benchmark from the command line and reports its figures or an error."""

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
    """Parse the arguments and run `command`; a TrimtabError becomes two lines on stderr and exit code 1.

    On SIGTERM it exits cleanly, so that the broker is stopped too.
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
    """Write each figure on a line to stderr, and with `as_json` all of them as one JSON object to stdout."""
    for name, value in result.items():
        tell(f"{name}: {value}")
    if as_json:
        typer.echo(json.dumps(result))
