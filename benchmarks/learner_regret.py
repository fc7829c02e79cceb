"""`python -m benchmarks.learner_regret`: which learner misses how much of what the best choice would gain, by rows.

World and tuning budget are frozen in `learner_world.toml`: no learner is tuned on what it is measured by. Every seed
draws other requests, explored arms and outcomes of the same users; all learners see the same rows. Boosted trees are
not among the learners: nothing that Trimtab installs has them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from scipy.stats import t as student

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.interval_coverage import PAGE
from benchmarks.learner_regret_page import write_page
from benchmarks.learner_worlds import LearnerLog, learner_log
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit, origin
from learner.network.algorithm import Algorithm, make_algorithm

LEARNERS = ("q_network", "linear", "linear_pairs")
ALPHAS = (0.1, 0.5, 0.7083)
"""That of the simulated experiment, the middle, and the one that is best for both objectives of the world."""
TESTED = 2_000


def algorithm_of(name: str, log: LearnerLog, seed: int) -> Algorithm:
    """An untrained learner of the log's experiment; the seed draws the network's first weights."""
    spec = log.experiment.learner.model_copy(update={"algorithm": name, "seed": seed})
    return make_algorithm(log.experiment.model_copy(update={"learner": spec}), log.contract)


def measured(name: str, log: LearnerLog, seed: int) -> dict[str, Any]:
    """Regret at each of ALPHAS after a fit to the log's rows, and the CPU seconds of the fit."""
    algorithm, started = algorithm_of(name, log, seed), time.process_time()
    algorithm.fit(log.training, lambda _: None)
    seconds, values = time.process_time() - started, algorithm.score(log.tested.inputs)
    return {
        "learner": name,
        "rows": log.training.count,
        "seed": seed,
        "cpu_s": round(seconds, 2),
        "regret": [round(log.regret(values, alpha), 4) for alpha in ALPHAS],
    }


def runs_of(
    plan: Sequence[tuple[int, int]], minutes: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[dict[str, Any]]:
    """A run of each learner on each log of the plan of (rows, seed); no log is begun after so many minutes."""
    started = clock()
    for rows, seed in plan:
        if clock() - started >= 60 * minutes:
            return
        log = learner_log(seed, rows, TESTED)
        for name in LEARNERS:
            yield {**measured(name, log, seed), "asked_rows": rows}


def seed_plan(sizes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """(rows, seed) for (rows, number of seeds): first the first seed of every size, then the second."""
    most = max(seeds for _, seeds in sizes)
    return [(rows, seed) for seed in range(1, most + 1) for rows, seeds in sizes if seed <= seeds]


def summary(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each number of rows and learner: seeds, mean regret and 95 % interval at each α, mean CPU seconds.

    `beside_network` is the mean difference from the network on the same seeds, with its interval; below 0 is better.
    """
    cells = []
    for rows in sorted({run["asked_rows"] for run in runs}):
        own = {name: [run for run in runs if run["asked_rows"] == rows and run["learner"] == name] for name in LEARNERS}
        network = np.array([run["regret"] for run in own["q_network"]])
        for name, found in own.items():
            regret = np.array([run["regret"] for run in found])
            cells.append(
                {
                    "rows": rows,
                    "learner": name,
                    "seeds": len(found),
                    "cpu_s": round(float(np.mean([run["cpu_s"] for run in found])), 1),
                    "regret": [mean_interval(column) for column in regret.T],
                    "beside_network": [mean_interval(column) for column in (regret - network).T],
                }
            )
    return cells


def mean_interval(values: Sequence[float]) -> list[float | None]:
    """[mean, lower, upper]: Student's 95 % interval over seeds; no bounds from fewer than two."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return [round(mean, 3), None, None]
    half = float(student.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return [round(mean, 3), round(mean - half, 3), round(mean + half, 3)]


def main(
    small: Annotated[int, typer.Option(min=1, help="Seeds of 20,000 rows.")] = 20,
    middle: Annotated[int, typer.Option(min=0, help="Seeds of 200,000 rows.")] = 20,
    large: Annotated[int, typer.Option(min=0, help="Seeds of 2,000,000 rows.")] = 5,
    minutes: Annotated[float, typer.Option(min=0, help="No log is begun after so many minutes.")] = 600,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure the regret of learners by the number of explored rows. All of it takes hours: see --minutes.

    Example: python -m benchmarks.learner_regret --small 8 --middle 3 --large 0 --minutes 25 --json
    """
    torch.set_num_threads(1)
    started, plan = commit(), seed_plan([(20_000, small), (200_000, middle), (2_000_000, large)])
    runs = list[dict[str, Any]]()
    for run in runs_of(plan, minutes):
        tell(f"{run['learner']}, {run['asked_rows']} rows, seed {run['seed']}: {run['regret']}")
        runs.append(run)
    done = {(run["asked_rows"], run["seed"]) for run in runs}
    kept = {
        **origin(started, 1),
        "alphas": ALPHAS,
        "figures": summary(runs),
        "not_run": [f"{rows} rows, seed {seed}" for rows, seed in plan if (rows, seed) not in done],
        "runs": runs,
    }
    append_result(results, "learner_regret", kept)
    write_page(page, kept)
    report({name: value for name, value in kept.items() if name != "runs"}, as_json)


if __name__ == "__main__":
    run_command(main)
