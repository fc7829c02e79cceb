"""`python -m tests.mutants [MODULE …]`: whether the tests of the join's core notice small changes of its code.

A test that passes with and without a change holds nothing of what changed. This makes every small change that the
operators know (`mutation_operators`), one at a time, and runs the tests until one fails. What survives is a hole in the
tests or a change that makes no difference; `survivors.toml` gives a reason for each of the latter, and any other
survivor makes the run fail. It is no part of CI: run it after changes to the rule or the partition.

Why not a library: cosmic-ray and mutatest start an interpreter for each mutant, which costs seconds here. mutmut forks,
but it mutates only inside functions, without those that have decorators such as `property` and without constants; it
knows no second stage of tests for survivors; and it numbers its mutants, so that reasons for survivors do not keep.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from event_schemas.errors import TrimtabError
from tests.mutants.accepted_survivors import compare, read_survivors
from tests.mutants.join_targets import ROOT, targets
from tests.mutants.mutant_report import record, report
from tests.mutants.mutant_run import prepare, try_all

RESULTS = Path(__file__).with_name("results.jsonl")
COMMIT = ("git", "describe", "--always", "--dirty", "--exclude=*")


def mutants(
    modules: Annotated[list[str] | None, typer.Argument(help="Modules to mutate; all when none is named.")] = None,
    jobs: Annotated[int, typer.Option(help="Mutants tried at a time.")] = 2,
) -> None:
    """Mutate the core of the join and run its tests on each mutant.

    Exit code 1 when a mutant survives that survivors.toml does not name. Each run adds a line to results.jsonl.

    Example: python -m tests.mutants partition.expiry_queue
    """
    chosen, accepted, begun = targets(modules or []), read_survivors(), time.monotonic()
    baseline = prepare(chosen)
    typer.echo(f"{len(baseline.seconds)} tests take {sum(baseline.seconds.values()):.1f} s without a mutant")
    tried = []
    for one in try_all(chosen, baseline, jobs, accepted):
        tried.append(one)
        if one.survived and one.mutant.key not in accepted:
            typer.echo(f"{one.verdict}, line {one.mutant.line}: {one.mutant.key}")
    seconds = time.monotonic() - begun
    comparison = compare({one.mutant.key: one.survived for one in tried}, accepted)
    for line in report(tried, comparison, seconds):
        typer.echo(line)
    run = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": subprocess.run(COMMIT, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[2], 2),
        "jobs": jobs,
        "chosen": modules or "all",
    }
    with RESULTS.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record(tried, comparison, seconds, run)) + "\n")
    if comparison.unexplained:
        sys.exit(1)


if __name__ == "__main__":
    try:
        typer.run(mutants)
    except TrimtabError as fault:
        sys.exit(f"error: {fault.what}\nfix: {fault.fix}")
