"""The `trimtab` command: one sub-command file per group, one way to report an error."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from event_schemas.errors import TrimtabError
from trimtab.process_exit import FAILED, of_the_machine, tell

GROUPS = (
    "demo",
    "topics",
    "replay",
    "bridge",
    "join",
    "learn",
    "evaluate",
    "policy",
    "alpha",
    "serve",
    "simulate",
    "dead_letters",
    "reconcile",
    "broker",
)


def build_app() -> typer.Typer:
    """The command line application with every group registered, in the order data flows."""
    app = typer.Typer(
        name="trimtab",
        help="Learn which utility weights to rank each request with; never serve something unproven.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for group in GROUPS:
        import_module(f"trimtab.commands.{group}").register(app)
    return app


def main() -> None:
    """Run the command line.

    A TrimtabError, or an OSError such as a full disk, ends as two lines on stderr and exit code 1.
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
