"""`python -m benchmarks.soundness`: how often the check of the log stops sound and faulty logs.

Every world draws its logs from its own seed. The bars: a fault stops at least 95 % of its logs, and at most one in
1,000 of all sound logs is stopped. The page with the tables is rewritten.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.interval_coverage import PAGE
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.soundness_logs import SoundnessWorld, judged, soundness_experiment
from benchmarks.soundness_page import write_page
from benchmarks.study_run import commit, fresh_processes, origin
from learner.judgement.log_soundness import LogVerdict
from off_policy.intervals import binomial_bounds

LARGE, SMALL = 10_000, 2_000
LEAST_STOPPED, MOST_STOPPED = 0.95, 0.001
FAULTS = (
    "factor_up",
    "factor_down",
    "half_the_arms",
    "half_the_arms_with_foreign",
    "arms_missing",
    "zeros_dropped",
    "doubled",
    "bot",
)
LISTS, LISTED = 300, ", 300 lists of eligible arms"
CHUNK = 50
"""Logs of a world that one process draws at a time, from a seed of their own."""


def faulty_worlds() -> list[SoundnessWorld]:
    """A world for each fault, and faults of the arms among many lists of eligible arms."""
    listed = [
        SoundnessWorld(name + LISTED, LARGE, lists=LISTS, fault=name) for name in ("half_the_arms", "arms_missing")
    ]
    return [*(SoundnessWorld(name, LARGE, fault=name) for name in FAULTS), *listed]


def sound_worlds(rows: int) -> list[SoundnessWorld]:
    """Sound worlds of so many explored rows."""
    return [
        SoundnessWorld("by request", rows),
        SoundnessWorld("by session", rows, by_session=True),
        SoundnessWorld("by request, 2 % lost", rows, loss=0.02),
        SoundnessWorld("by session, 2 % lost", rows, by_session=True, loss=0.02),
        SoundnessWorld("by request, moving rate", rows, moving=True),
        SoundnessWorld("by session, moving rate, 2 % lost", rows, by_session=True, loss=0.02, moving=True),
        SoundnessWorld(f"by session, 2 % lost{LISTED}", rows, by_session=True, loss=0.02, lists=LISTS),
    ]


def count_verdicts(world: SoundnessWorld, seed: int, part: int, logs: int) -> Counter[str]:
    """The verdicts on `logs` logs of a world, and the first reasons of unsound ones."""
    rng = np.random.default_rng([seed, part, world.rows, *world.name.encode()])
    experiment = soundness_experiment("session" if world.by_session else "request")
    found: Counter[str] = Counter()
    for _ in range(logs):
        verdict = judged(world, experiment, rng)
        found[verdict.verdict.value] += 1
        if verdict.faults:
            found[f"reason {verdict.faults[0].code}"] += 1
    return found


def study(plan: Sequence[tuple[SoundnessWorld, int]], seed: int, processes: int) -> list[dict[str, Any]]:
    """Each world with its number of logs; the number of processes changes nothing."""
    with fresh_processes(processes) as pool:
        jobs = [
            (world, logs, [pool.submit(count_verdicts, world, seed, *part) for part in _parts(logs)])
            for world, logs in plan
        ]
        cells = []
        for world, logs, parts in jobs:
            found = sum((part.result() for part in parts), Counter[str]())
            cells.append(_cell(world, logs, found))
            tell(f"{world.name}, {world.rows} rows: {cells[-1]['stopped']} of {logs} stopped")
    return cells


def failures(cells: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What misses a bar, in words."""
    for cell in cells:
        if cell["fault"] and cell["stopped"] < LEAST_STOPPED * cell["logs"]:
            yield f"{cell['name']}: only {cell['stopped']} of {cell['logs']} logs are stopped"
    sound = [cell for cell in cells if not cell["fault"]]
    stopped, logs = sum(cell["stopped"] for cell in sound), sum(cell["logs"] for cell in sound)
    if stopped > MOST_STOPPED * logs:
        yield f"{stopped} of {logs} sound logs are stopped"
    for cell in sound:
        if cell["unverified"]:
            yield f"{cell['name']}: the completeness of {cell['unverified']} of {cell['logs']} logs is unverified"


def clopper_pearson(count: int, logs: int) -> tuple[float, float]:
    """The exact 95 % interval of a share (Clopper and Pearson, 1934)."""
    lower, upper = binomial_bounds(np.asarray(count), np.asarray(logs), 0.95)
    return float(lower), float(upper)


def _parts(logs: int) -> Iterator[tuple[int, int]]:
    """(number, logs) of each part."""
    for number, start in enumerate(range(0, logs, CHUNK)):
        yield number, min(CHUNK, logs - start)


def _cell(world: SoundnessWorld, logs: int, found: Counter[str]) -> dict[str, Any]:
    stopped = found[LogVerdict.UNSOUND.value]
    lower, upper = clopper_pearson(stopped, logs)
    return {
        "name": world.name,
        "rows": world.rows,
        "fault": bool(world.fault),
        "logs": logs,
        "stopped": stopped,
        "interval": [round(lower, 6), round(upper, 6)],
        "unverified": found[LogVerdict.COMPLETENESS_UNVERIFIED.value],
        "reasons": {name.removeprefix("reason "): n for name, n in sorted(found.items()) if name.startswith("reason ")},
    }


def main(
    large: Annotated[int, typer.Option(min=1, help="Logs of each world of 10,000 rows.")] = 400,
    small: Annotated[int, typer.Option(min=1, help="Logs of each sound world of 2,000 rows.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes that count.")] = os.cpu_count() or 1,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Count how often the check of the log stops sound and faulty logs. Takes about a quarter of an hour.

    Example: python -m benchmarks.soundness --json
    """
    started = commit()
    plan = [(world, large) for world in (*faulty_worlds(), *sound_worlds(LARGE))]
    plan += [(world, small) for world in sound_worlds(SMALL)]
    cells = study(plan, seed, processes)
    run = {
        **origin(started, seed),
        "figures": cells,
        "missed": list(failures(cells)),
    }
    append_result(results, "soundness", run)
    write_page(page, run)
    report(run, as_json)


if __name__ == "__main__":
    run_command(main)
