"""`python -m benchmarks.learner_warm_start`: does a network that continues an earlier one follow a shift of taste?

A parent is trained on two weeks. A week later each candidate is trained on the last two weeks, of which the second is
as before, or all of another taste. All take as many steps on as many rows as a network from scratch, and start from the
same parent. The ratio of their regrets is a geometric mean over seeds, each of which draws world, rows and networks
anew. The bars: a candidate's upper 95 % bound is at most 1.05 after a shift, and its ratio is below 1 without one.
`learner_recovery` counts how many examples of the new taste halve the regret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy.stats import t as student

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.interval_coverage import PAGE
from benchmarks.learner_recovery import recoveries, recovery
from benchmarks.learner_warm_start_page import write_page
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.shifting_world import ShiftingWorld, joined
from benchmarks.study_run import commit, origin
from event_schemas.experiment import Experiment
from learner.examples.learning_rows import LearningRows
from learner.network.q_learning import QLearning
from learner.network.validation_units import validation_rows

SCRATCH = "scratch"
ALARM_SLOPE = 0.5
"""A parent whose predictions explain the new rows with a smaller slope, by its 95 % bound, raises the alarm."""
MOST_RATIO = 1.05
Weights = Mapping[str, NDArray[Any]]


class WarmStarts:
    """Trains one seed's candidates after a week whose taste is 0 (as before) or 1."""

    def __init__(self, world: ShiftingWorld) -> None:
        self.world = world
        self._weeks = world.week(0, 0), world.week(1, 0)
        parent = self._network(0)
        parent.fit(joined(*self._weeks))
        self.parent = parent

    def regrets(self, taste: int) -> dict[str, float]:
        """The regret of a network from scratch and of each candidate."""
        new = self.world.week(2, taste)
        rows = joined(self._weeks[1], new)
        found = {name: self.world.regret(train(rows), taste) for name, train in self._trainings().items()}
        alarm = slope_bound(self.parent.score(new.inputs), new) < ALARM_SLOPE
        return found | {"alarm": found[SCRATCH] if alarm else found["continued"]}

    def _trainings(self) -> dict[str, Callable[[LearningRows], NDArray[np.float32]]]:
        return {
            SCRATCH: lambda rows: self._fitted(self._network(1), rows),
            "continued": lambda rows: self._fitted(self._from_parent(1.0), rows),
            "shrunk to 0.8": lambda rows: self._fitted(self._from_parent(0.8), rows),
            "shrunk to 0.5": lambda rows: self._fitted(self._from_parent(0.5), rows),
            "shrunk to 0.2": lambda rows: self._fitted(self._from_parent(0.2), rows),
            "better of two": self._better_of_two,
        }

    def _better_of_two(self, rows: LearningRows) -> NDArray[np.float32]:
        """Half of the steps each, from scratch and continued; the one that predicts the validation rows better."""
        kept = validation_rows(rows)
        fitted, tried = rows.take(~kept), rows.take(kept)
        networks = [self._network(1, halves=True), self._from_parent(1.0, halves=True)]
        for network in networks:
            network.fit(fitted)
        losses = [float(np.square(logged_values(each, tried) - tried.rewards).mean()) for each in networks]
        return networks[int(np.argmin(losses))].score(self.world.tested)

    def _fitted(self, network: QLearning, rows: LearningRows) -> NDArray[np.float32]:
        network.fit(rows)
        return network.score(self.world.tested)

    def _from_parent(self, kept_share: float, *, halves: bool = False) -> QLearning:
        network = self._network(1, kept_share, halves=halves)
        network.restore(self.parent.weights(), {})
        return network

    def _network(self, number: int, kept_share: float = 1.0, *, halves: bool = False) -> QLearning:
        experiment: Experiment = self.world.experiment
        spec = experiment.learner
        changed = {"seed": 1_000 * self.world.seed + number, "epochs": spec.epochs // 2 if halves else spec.epochs}
        experiment = experiment.model_copy(update={"learner": spec.model_copy(update=changed)})
        return QLearning(experiment, self.world.contract, kept_share)


def logged_values(network: QLearning, rows: LearningRows) -> NDArray[np.float32]:
    """float32[n, objectives]: what is predicted for the arms that were served."""
    return network.score(rows.inputs)[np.arange(rows.count), rows.arms]


def slope_bound(values: NDArray[np.float32], rows: LearningRows) -> float:
    """The upper 95 % bound of the slope of rewards on predictions, both centred: near 1 without a shift."""
    predicted = values[np.arange(rows.count), rows.arms].astype(np.float64)
    predicted, rewards = predicted - predicted.mean(axis=0), rows.rewards - rows.rewards.mean(axis=0)
    spread = np.square(predicted).sum()
    slope = (predicted * rewards).sum() / spread
    error = np.sqrt(np.square((predicted * (rewards - slope * predicted)).sum(axis=1)).sum()) / spread
    return float(slope + 1.96 * error)


def runs_of(seeds: Sequence[int], rows: int) -> Iterator[dict[str, Any]]:
    """The regrets of each seed, without a shift and after one."""
    for seed in seeds:
        starts = WarmStarts(ShiftingWorld(seed, rows))
        for taste in (0, 1):
            regrets = {name: round(each, 5) for name, each in starts.regrets(taste).items()}
            yield {"seed": seed, "shift": bool(taste), "regrets": regrets}


def summary(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each candidate, without a shift and after one: the mean regret; the ratio to scratch with its interval."""
    cells = []
    for shift in (False, True):
        own = [run["regrets"] for run in runs if run["shift"] is shift]
        for name in own[0]:
            logs = np.log([each[name] / each[SCRATCH] for each in own])
            half = student.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
            ratio = [round(float(np.exp(logs.mean() + side * half)), 3) for side in (0, -1, 1)]
            mean = round(float(np.mean([each[name] for each in own])), 4)
            cells.append({"shift": shift, "candidate": name, "seeds": len(own), "regret": mean, "ratio": ratio})
    return cells


def meeting_bars(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """The candidates that meet both bars, the one with the smallest ratio without a shift first."""
    ratio = {(cell["candidate"], cell["shift"]): cell["ratio"] for cell in cells if cell["candidate"] != SCRATCH}
    names = {name for name, _ in ratio}
    good = [name for name in names if ratio[name, True][2] <= MOST_RATIO and ratio[name, False][0] < 1]
    return sorted(good, key=lambda name: (ratio[name, False][0], name))


def main(
    seeds: Annotated[int, typer.Option(min=2, help="Seeds, each with a world and networks of its own.")] = 20,
    rows: Annotated[int, typer.Option(min=500, help="Explored rows a week.")] = 8_000,
    recovering: Annotated[int, typer.Option(min=2, help="Seeds of the recovery after a shift.")] = 20,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure how networks that continue an earlier one follow a shift. Takes about half an hour.

    Example: python -m benchmarks.learner_warm_start --json
    """
    torch.set_num_threads(1)
    started, runs = commit(), list[dict[str, Any]]()
    for run in runs_of(range(1, seeds + 1), rows):
        tell(f"seed {run['seed']}, {'shift' if run['shift'] else 'no shift'}: {run['regrets']}")
        runs.append(run)
    cells = summary(runs)
    after = list[dict[str, Any]]()
    for run in recoveries(range(1, recovering + 1), rows):
        tell(f"seed {run['seed']}, recovery: {run['regrets']}")
        after.append(run)
    kept = {
        **origin(started, 1),
        "rows_a_week": rows,
        "figures": cells,
        "met": meeting_bars(cells),
        "recovery": recovery(after, rows),
        "runs": runs,
    }
    append_result(results, "learner_warm_start", kept)
    write_page(page, kept)
    report({name: value for name, value in kept.items() if name != "runs"}, as_json)


if __name__ == "__main__":
    run_command(main)
