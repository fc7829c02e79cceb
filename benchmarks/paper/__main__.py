"""`python -m benchmarks.paper`: PRL-PUTS's findings on a simulated homefeed whose truth is known (`make paper`).

The learnt graph decides online through the vectorised agent; every figure has an interval over seeds or by users.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.interval_coverage import PAGE
from benchmarks.paper.agreement_chart import agreement_chart
from benchmarks.paper.paper_page import CHART, write_page
from benchmarks.paper.paper_sizes import FULL, REDUCED
from benchmarks.paper.paper_studies import (
    FINDINGS,
    Study,
    controls_run,
    figures_of,
    homefeed_run,
    results_in_time,
    studies_of,
)
from benchmarks.results_folder import RESULTS, append_result, write_plot
from benchmarks.study_run import commit, fresh_processes, origin
from event_schemas.errors import SettingError


def _cpu_seconds(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    parts = [each for run in runs for each in run["cpu_s"].items()]
    return {name: round(sum(value for part, value in parts if part == name), 1) for name in dict(parts)}


def main(
    full: Annotated[bool, typer.Option("--full", help="The full sizes: hours.")] = False,
    only: Annotated[list[str] | None, typer.Option(help=f"A finding: {', '.join(FINDINGS)}. Repeat for more.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Other numbers of seeds than 5, or 20 with --full.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="No seed is begun after so many minutes.")] = 1_440,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for figures and chart.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Reproduce the findings of the paper in a simulated homefeed.

    Example: python -m benchmarks.paper --only agreement --seeds 8 --minutes 20
    """
    findings, sizes = only or list(FINDINGS), FULL if full else REDUCED
    if unknown := [name for name in findings if name not in FINDINGS]:
        raise SettingError(f"there is no finding {unknown[0]!r}", fix=f"use one of {', '.join(FINDINGS)}")
    started, begun, processes = commit(), time.monotonic(), min(2, os.cpu_count() or 1)
    studies = studies_of(findings, seeds or sizes.seeds)
    runs: dict[Study, list[dict[str, Any]]] = {homefeed_run: [], controls_run: []}
    with fresh_processes(processes) as pool:
        for study, run in results_in_time(pool, studies, sizes, processes, minutes):
            tell(f"{study.__name__}, seed {run['seed']}: {run['cpu_s']} CPU seconds")
            runs[study].append(run)
    done = {(study, run["seed"]) for study, own in runs.items() for run in own}
    every = runs[homefeed_run] + runs[controls_run]
    kept = {
        **origin(started, 1),
        "command": " ".join(["python -m benchmarks.paper", *sys.argv[1:]]),
        "full": full,
        "sizes": {name: getattr(sizes, name) for name in sizes.__slots__},
        "rows": [run["rows"] for run in runs[homefeed_run]],
        "cpu_s": _cpu_seconds(every),
        "wall_s": round(time.monotonic() - begun, 1),
        "not_run": [f"{study.__name__} of seed {seed}" for study, seed in studies if (study, seed) not in done],
        "figures": figures_of(findings, runs[homefeed_run], runs[controls_run]),
    }
    append_result(results, "paper", kept | {"runs": every})
    if "agreement" in kept["figures"]:
        write_plot(results, CHART, *agreement_chart([run["points"] for run in runs[homefeed_run]]))
    write_page(page, kept)
    report({name: value for name, value in kept.items() if name != "figures"}, as_json)


if __name__ == "__main__":
    run_command(main)
