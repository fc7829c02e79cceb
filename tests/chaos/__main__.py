"""`python -m tests.chaos [NAME …]`: runs schedules on a real broker and prints a table of their results."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.chaos.chaos_run import run_schedule
from tests.chaos.command_line import console, main
from tests.chaos.fault_table import passed, print_table, word, write
from tests.chaos.fragile_broker import FragileBroker
from tests.chaos.judgement import Verdict
from tests.chaos.run_charts import lag_chart
from tests.chaos.schedule import Schedule, ScheduleError, load_schedules
from tests.chaos.stage import Place

RESULTS = Path("var/chaos")
SEED = 2_026


def chaos(
    names: Annotated[list[str] | None, typer.Argument(help="Schedules to run; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Random seed of traffic and poison.")] = SEED,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
    names_only: Annotated[bool, typer.Option("--list", help="Print the schedules' names and exit.")] = False,
) -> None:
    """Run kill schedules against the join and the learner on a real Kafka broker.

    The exit code is 1 if anything is lost or differs, or if a fault did not take place.

    Example: python -m tests.chaos worker-killed broker-killed
    """
    schedules = _chosen(names or [])
    if names_only:
        for schedule in schedules:
            typer.echo(f"{schedule.name:24} {schedule.title}")
        return
    out = console(stderr=as_json)
    verdicts = _run(schedules, seed, out)
    write(verdicts, RESULTS)
    if as_json:
        typer.echo(json.dumps([verdict.as_dict() for verdict in verdicts]))
    print_table(verdicts, out)
    out.print(f"details: {RESULTS}/chaos.md, chaos.json; lag over time: NAME.svg", highlight=False)
    if not passed(verdicts):
        raise typer.Exit(1)


def _chosen(names: list[str]) -> list[Schedule]:
    known = load_schedules()
    for name in names:
        if name not in known:
            raise ScheduleError(f"there is no schedule {name!r}", fix=f"choose from {', '.join(known)}")
    return [known[name] for name in names or known]


def _run(schedules: list[Schedule], seed: int, out: Console) -> list[Verdict]:
    verdicts = []
    directory = Path(tempfile.mkdtemp(prefix="trimtab-chaos-"))
    with FragileBroker(directory) as broker:
        for number, schedule in enumerate(schedules):
            out.rule(f"{number + 1}/{len(schedules)}  {schedule.name}: {schedule.title}", align="left")
            place = Place(broker, directory / schedule.name, seed + 10_000 * number)
            place.directory.mkdir()
            verdict, history = run_schedule(schedule, place, lambda line: out.print(f"  {line}", highlight=False))
            out.print(f"  {word(verdict)} after {verdict.seconds:.0f} s", highlight=False)
            verdicts.append(verdict)
            RESULTS.mkdir(parents=True, exist_ok=True)
            (RESULTS / f"{schedule.name}.svg").write_text(lag_chart(history, schedule.title), encoding="utf-8")
    if passed(verdicts):
        shutil.rmtree(directory)
    else:
        out.print(f"logs of every process: {directory}", highlight=False)
    return verdicts


if __name__ == "__main__":
    main(chaos)
