"""The `trimtab` command: registers the sub-commands, one file per group, and reports errors in one format."""

from __future__ import annotations

import platform
import sys
from importlib import import_module
from typing import Annotated

import typer

from event_schemas.errors import TrimtabError
from trimtab.process_exit import FAILED, of_the_machine, tell

GROUPS = (
    "demo",
    "config",
    "status",
    "topics",
    "replay",
    "bridge",
    "join",
    "learn",
    "evaluate",
    "evidence",
    "report",
    "rebuild",
    "forget",
    "policy",
    "alpha",
    "experiment",
    "serve",
    "simulate",
    "dead_letters",
    "reconcile",
    "broker",
)


def build_app() -> typer.Typer:
    """The command-line application with every group registered, in the order in which data flows."""
    app = typer.Typer(
        name="trimtab",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for group in GROUPS:
        import_module(f"trimtab.commands.{group}").register(app)
    return app


def version_text() -> str:
    """The installed version and the Python that runs it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        installed = version("trimtab")
    except PackageNotFoundError:
        installed = "not installed"
    return f"trimtab {installed} (Python {platform.python_version()})"


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_text())
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Learn which utility weights to use for each request; serve only policies that are proven better."""


def main() -> None:
    """Runs the command line.

    A TrimtabError, or an OSError such as a full disk, is reported in two lines on stderr with exit code 1.
    """
    try:
        build_app()()
    except TrimtabError as fault:
        tell(fault)
        sys.exit(FAILED)
    except OSError as fault:
        tell(of_the_machine(fault))
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
