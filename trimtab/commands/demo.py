"""`trimtab demo`: the whole loop on a real log, and in a simulated homefeed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from trimtab.settings import load_settings

SIGNALLED = 128
"""A process ended by a signal exits with this plus the signal's number."""


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON at the end.")] = False,
) -> None:
    """Run the whole loop end to end on this machine: no Kafka, Redis, Java or Docker needed.

    Act 1 replays a real bandit log, act 2 a simulated homefeed with two objectives. summary.json,
    report.html and the log of each process are written to <data dir>/demo, which is emptied first. Ctrl-C stops all.

    Example: trimtab demo
    """
    from rich.console import Console

    from monitoring.multiprocess_folder import require_multiprocess_folder
    from trimtab.demo.demo_run import REPORT, run_demo
    from trimtab.demo.demo_summary import result_table, summary_of, traffic_table, verdict_lines
    from trimtab.stop_flag import StopFlag

    require_multiprocess_folder()
    stop = StopFlag()
    stop.listen(interrupt=True)
    directory, console = load_settings().data_dir / "demo", Console(stderr=as_json)
    try:
        result = run_demo(directory, console, datetime.now(UTC), stop)
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        raise typer.Exit(SIGNALLED + (stop.signal or 0)) from None
    if as_json:
        typer.echo(json.dumps(summary_of(result)))
        return
    console.print()
    console.print(result_table(result))
    for line in verdict_lines(result):
        console.print(f"  {line}", highlight=False)
    console.print()
    for outcome in result.outcomes:
        if outcome.traffic:
            console.print(traffic_table(outcome))
    console.print(f"{result.wall_seconds:.0f} s; see {directory / REPORT}")


def register(app: typer.Typer) -> None:
    """Adds `trimtab demo`."""
    app.command("demo")(demo)
