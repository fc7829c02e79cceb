"""`trimtab broker`: a Kafka-protocol broker and a Redis on this machine."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from trimtab.settings import require_usable
from trimtab.stop_flag import StopFlag


def broker(
    as_json: Annotated[bool, typer.Option("--json", help="Print the variables as one JSON object.")] = False,
) -> None:
    """Run an embedded broker and Redis until Ctrl-C, and print the environment that points at them.

    The broker keeps 5 MiB per partition, in memory. All data, Redis included, is lost when the command ends.

    Example: trimtab broker > local.env &   then   source local.env
    """
    from trimtab.embedded_runtime import embedded_runtime

    require_usable()
    stop = StopFlag()
    stop.listen()
    with tempfile.TemporaryDirectory(prefix="trimtab-broker-") as folder, embedded_runtime(Path(folder)) as runtime:
        variables = runtime.environment()
        lines = "\n".join(f"export {name}={value}" for name, value in variables.items())
        typer.echo(json.dumps(variables) if as_json else lines)
        while not stop.wait(1.0):
            pass


def register(app: typer.Typer) -> None:
    """Adds `trimtab broker`."""
    app.command("broker")(broker)
