"""`python -m benchmarks.learner_regret`: which learner misses how much of what the best choice would gain, by rows.

World and tuning budget are frozen in `learner_world.toml` and `learner_peers.py`: no learner is tuned on what it is
measured by. Every seed draws other requests, explored arms and outcomes of the same users; all learners see the same
rows. Each run of a learner is appended to the results as soon as it is measured, and is not repeated: delete a
learner's lines to measure it anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.interval_coverage import PAGE
from benchmarks.learner_peers import SETTINGS, measured_peer, peers_installed
from benchmarks.learner_regret_figures import crossings, summary
from benchmarks.learner_regret_page import write_page
from benchmarks.learner_tables import best_arm_values, table_values
from benchmarks.learner_worlds import LearnerLog, learner_log
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit, origin
from learner.network.algorithm import Algorithm, make_algorithm

TABLES = {"best_arm": best_arm_values, "arm_table": table_values}
LEARNERS = ("q_network", "linear", "linear_pairs", *TABLES, *SETTINGS)
ALPHAS = (0.1, 0.5, 0.7083)
"""That of the simulated experiment, the middle, and the one that is best for both objectives of the world."""
TESTED = 2_000
NAME = "learner_regret"
Log = tuple[int, int]
"""(rows, seed), by which a log is drawn."""


def algorithm_of(name: str, log: LearnerLog, seed: int) -> Algorithm:
    """An untrained learner of the log's experiment; the seed draws the network's first weights."""
    spec = log.experiment.learner.model_copy(update={"algorithm": name, "seed": seed})
    return make_algorithm(log.experiment.model_copy(update={"learner": spec}), log.contract)


def values_of(name: str, log: LearnerLog, seed: int) -> tuple[NDArray[np.float32], float]:
    """(values of the tested requests [n, arms, objectives], CPU seconds of the fit) of a learner of LEARNERS."""
    if name in SETTINGS:
        return measured_peer(name, log)
    started = time.process_time()
    if name in TABLES:
        return TABLES[name](log), time.process_time() - started
    algorithm = algorithm_of(name, log, seed)
    algorithm.fit(log.training, lambda _: None)
    seconds = time.process_time() - started
    return algorithm.score(log.tested.inputs), seconds


def measured(name: str, log: LearnerLog, seed: int) -> dict[str, Any]:
    """Regret at each of ALPHAS after a fit to the log's rows, and the CPU seconds of the fit."""
    values, seconds = values_of(name, log, seed)
    return {
        "learner": name,
        "rows": log.training.count,
        "seed": seed,
        "cpu_s": round(seconds, 2),
        "regret": [round(log.regret(values, alpha), 4) for alpha in ALPHAS],
    }


def runs_of(
    plan: Sequence[tuple[Log, Sequence[str]]], minutes: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[dict[str, Any]]:
    """A run of each learner of the plan on its log; none is begun after so many minutes."""
    started = clock()
    for (rows, seed), learners in plan:
        if clock() - started >= 60 * minutes:
            return
        log = learner_log(seed, rows, TESTED)
        for name in learners:
            if clock() - started < 60 * minutes:
                yield {**measured(name, log, seed), "asked_rows": rows}


def seed_plan(sizes: Sequence[tuple[int, int]]) -> list[Log]:
    """(rows, seed) for (rows, number of seeds), size after size."""
    return [(rows, seed) for rows, seeds in sizes for seed in range(1, seeds + 1)]


def kept_runs(results: Path) -> list[dict[str, Any]]:
    """The runs that the folder has, in the order in which they were measured."""
    file = results / f"{NAME}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def left_of(
    plan: Sequence[Log], learners: Sequence[str], runs: Sequence[dict[str, Any]]
) -> list[tuple[Log, tuple[str, ...]]]:
    """The logs of the plan with the learners that have no run on them; none without such a learner."""
    done = {(run["asked_rows"], run["seed"], run["learner"]) for run in runs}
    left = [(log, tuple(name for name in learners if (*log, name) not in done)) for log in plan]
    return [(log, names) for log, names in left if names]


def main(
    small: Annotated[int, typer.Option(min=1, help="Seeds of 20,000 rows.")] = 20,
    middle: Annotated[int, typer.Option(min=0, help="Seeds of 200,000 rows.")] = 20,
    large: Annotated[
        int, typer.Option(min=0, help="Seeds of 2,000,000 rows (some 20 GB, ten times those of 200,000).")
    ] = 5,
    minutes: Annotated[float, typer.Option(min=0, help="No learner is fitted after so many minutes.")] = 600,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[
        Path, typer.Option(help="Folder for the figures, and of the runs that are not repeated.")
    ] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure the regret of learners by the number of explored rows. All of it takes hours: see --minutes.

    Example: python -m benchmarks.learner_regret --small 8 --middle 3 --large 0 --minutes 25 --json
    """
    torch.set_num_threads(1)
    learners = [name for name in LEARNERS if name not in SETTINGS or peers_installed()]
    if left_out := sorted({*LEARNERS} - {*learners}):
        tell(f"left out, because they are not installed (make bench-learners): {', '.join(left_out)}")
    started, plan = commit(), seed_plan([(20_000, small), (200_000, middle), (2_000_000, large)])
    for run in runs_of(left_of(plan, learners, kept_runs(results)), minutes):
        tell(f"{run['learner']}, {run['asked_rows']} rows, seed {run['seed']}: {run['regret']}")
        append_result(results, NAME, {**origin(started, run["seed"]), "alphas": ALPHAS, **run})
    runs = kept_runs(results)
    figures = summary(runs, LEARNERS)
    kept = {
        "alphas": ALPHAS,
        "measured": sorted({(run["date"], run["commit"]) for run in runs}),
        "figures": figures,
        "ahead": crossings(figures, ALPHAS),
        "not_run": [(rows, seed, list(names)) for (rows, seed), names in left_of(plan, LEARNERS, runs)],
    }
    write_page(page, kept)
    report(kept, as_json)


if __name__ == "__main__":
    run_command(main)
