"""`python -m benchmarks.interval_coverage`: how often intervals err, in worlds with a known truth.

Every cell of a grid draws its logs from its own seed, and counts for each kind of interval how often it was given and
was wrong on either side. The bars: answered and wrong on one side in at most (1 - level) / 2 of all logs plus three
Monte Carlo standard errors; answered in 90 % where 30 positives and 30 degrees of freedom are expected; at most 1.15
times as wide as the delta method's where 100 positives are expected.

Cells belong to groups, which may be run one by one. The page with the tables is rewritten from the newest run of each.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.bench_broker import tell
from benchmarks.checkout_process import ROOT
from benchmarks.command_line import report, run_command
from benchmarks.coverage_intervals import Bounds, CoverageStudy
from benchmarks.coverage_page import HITS, write_page
from benchmarks.coverage_worlds import BINARY, COUNTS, RATINGS, CoverageWorld, draw_users
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit, fresh_processes, origin
from off_policy.intervals import FEWEST_EXPECTED, FEWEST_FREEDOM

PAGE = ROOT / "docs/results.md"
NAME = "interval_coverage"
RATES = (0.004, 0.02, 0.05, 0.2)
SIZES = (50, 200, 1000, 10_000)
WEIGHTS = ("even", "uneven", "shared")
PER_USER = (1, 10, 50)
FEWEST_SIZED = 2.0
"""Fewest expected rewards of a cell with rewards of several sizes: with fewer, no log answers."""
DIGITS = 6
COLUMNS = 1_000_000
"""Users of all logs that are drawn at once, where each has several rows."""
MANY_EXPECTED, MANY_FREEDOM, LEAST_ANSWERED = 30.0, 30.0, 0.9
WIDE_FROM, WIDEST = 100.0, 1.15


@dataclass(slots=True)
class Tally:
    """One kind of interval in one cell; all counts are numbers of logs.

    above, below              answered, and the whole interval is above (below) the truth
    above_all, below_all      the same whether answered or not
    plain_above, plain_below  the same for the delta method with Student's t
    compared                  answered, and the delta method's interval is not empty
    width                     half-width relative to the delta method's, summed over these
    expected, freedom         summed over all logs
    """

    name: str
    logs: int = 0
    answered: int = 0
    above: int = 0
    below: int = 0
    above_all: int = 0
    below_all: int = 0
    plain_above: int = 0
    plain_below: int = 0
    compared: int = 0
    width: float = 0.0
    expected: float = 0.0
    freedom: float = 0.0

    def count(self, bounds: Bounds) -> None:
        """Add the logs of one draw."""
        finite = np.isfinite(bounds.lower) & np.isfinite(bounds.upper)
        answered = (bounds.expected >= FEWEST_EXPECTED) & (bounds.freedom >= FEWEST_FREEDOM) & finite
        above, below = bounds.lower > bounds.truth, bounds.upper < bounds.truth
        plain = bounds.plain[1] - bounds.plain[0]
        self.logs += len(above)
        self.answered += int(answered.sum())
        self.above += int((answered & above).sum())
        self.below += int((answered & below).sum())
        self.above_all += int(above.sum())
        self.below_all += int(below.sum())
        self.plain_above += int((bounds.plain[0] > bounds.truth).sum())
        self.plain_below += int((bounds.plain[1] < bounds.truth).sum())
        compared = answered & (plain > 0.0)
        self.compared += int(compared.sum())
        self.width += float(((bounds.upper - bounds.lower)[compared] / plain[compared]).sum())
        self.expected += float(bounds.expected.sum())
        self.freedom += float(bounds.freedom.sum())

    def figures(self) -> dict[str, Any]:
        """Shares of the logs, and means."""
        counted = {
            name: round(value / self.logs, DIGITS)
            for name, value in asdict(self).items()
            if name not in ("name", "logs")
        }
        width = round(self.width / self.compared, DIGITS) if self.compared else None
        return {"name": self.name, **counted, "width": width}


def binary_cells() -> list[CoverageWorld]:
    """Rewards of 0 or 1. The dearest cell, ESS 10,000 with ten rows a user, is done with even weights only."""
    cells = [
        CoverageWorld(rate, ess, weights, per_user)
        for rate in RATES
        for ess in SIZES
        for weights in WEIGHTS
        for per_user in PER_USER
        if (ess, per_user) != (SIZES[-1], 10) or weights == "even"
    ]
    certain = [
        CoverageWorld(0.1, ess, "even", per_user, factor=9.7, types=(1.0,)) for ess in SIZES[:3] for per_user in (1, 10)
    ]
    return [*certain, *cells]


def sized_cells(rewards: str) -> list[CoverageWorld]:
    """Rewards of several sizes: all rates and sizes that expect FEWEST_SIZED rewards, with a row a user, and some with
    more rows."""
    alone = product(RATES, SIZES, WEIGHTS, PER_USER[:1])
    often = product((0.02, 0.2), SIZES[1:2], WEIGHTS, PER_USER[1:2])
    very_often = product((0.05,), SIZES[2:3], WEIGHTS, PER_USER[2:])
    cells = [
        CoverageWorld(rate, ess, weights, per_user, rewards=rewards)
        for rate, ess, weights, per_user in (*alone, *often, *very_often)
        if rate * ess >= FEWEST_SIZED
    ]
    nearly_all = [
        CoverageWorld(0.8, ess, "even", per_user, types=(1.0,), rewards=rewards)
        for ess in SIZES[:3]
        for per_user in PER_USER[:2]
    ]
    return [*nearly_all, *cells]


def hit_cells() -> list[CoverageWorld]:
    """Where Reward@HIT is a binomial share: binary rewards, even propensities, one row a user."""
    return [world for world in binary_cells() if world.per_user == 1 and world.weights != "uneven"]


GROUPS: Mapping[str, Callable[[], list[CoverageWorld]]] = {
    BINARY: binary_cells,
    COUNTS: partial(sized_cells, COUNTS),
    RATINGS: partial(sized_cells, RATINGS),
    HITS: hit_cells,
}


def grid(group: str) -> list[CoverageWorld]:
    """The cells of a group, the cheap ones first."""
    return sorted(GROUPS[group](), key=lambda world: world.users if world.per_user > 1 else 0)


def measure(
    world: CoverageWorld, replications: int, level: float, seed: int, group: str = BINARY
) -> list[dict[str, Any]]:
    """The figures of every kind of interval in one cell; of Reward@HIT alone in its group."""
    kind = "" if world.rewards == BINARY else f" {world.rewards}"
    name = f"{world.rate} {world.ess} {world.weights} {world.per_user} {world.factor}{kind}"
    rng = np.random.default_rng([seed, *name.encode()])
    tallies: dict[str, Tally] = {}
    left = replications
    while left:
        part = min(left, replications if world.per_user == 1 else max(1, COLUMNS // world.users))
        left -= part
        drawn = CoverageStudy(draw_users(world, part, rng), level)
        for bounds in drawn.all() if group != HITS else [drawn.at_hits()]:
            tallies.setdefault(bounds.name, Tally(bounds.name)).count(bounds)
    return [tally.figures() for tally in tallies.values()]


def largest_error(level: float, replications: int) -> float:
    """The nominal one-sided error plus three Monte Carlo standard errors."""
    nominal = (1.0 - level) / 2.0
    return nominal + 3.0 * math.sqrt(nominal * (1.0 - nominal) / replications)


def failures(cells: Iterable[dict[str, Any]], level: float, replications: int) -> Iterator[str]:
    """What misses a bar, in words."""
    limit = largest_error(level, replications)
    for cell in cells:
        for found in cell["intervals"]:
            where = f"{found['name']} in {cell['world']}"
            for side in ("above", "below"):
                if found[side] > limit:
                    yield f"{where}: answered and {side} the truth in {found[side]:.4f}, more than {limit:.4f}"
            many = found["expected"] >= MANY_EXPECTED and found["freedom"] >= MANY_FREEDOM
            if many and found["answered"] < LEAST_ANSWERED:
                yield f"{where}: answered in {found['answered']:.3f} only"
            if found["expected"] >= WIDE_FROM and found["compared"] and found["width"] > WIDEST:
                yield f"{where}: {found['width']:.3f} times as wide as the delta method's"


def study(group: str, replications: int, level: float, seed: int, processes: int) -> list[dict[str, Any]]:
    """Every cell of a group, with what it found; the number of processes changes nothing, because each cell has its own
    seed."""
    cells, worlds = [], grid(group)
    with fresh_processes(processes) as pool:
        results = [pool.submit(measure, world, replications, level, seed, group) for world in worlds]
        for number, (world, result) in enumerate(zip(worlds, results, strict=True), start=1):
            cells.append({"world": asdict(world), "intervals": result.result()})
            tell(f"{number} of {len(worlds)}: {world}")
    return cells


def main(  # noqa: PLR0913  one parameter for each option
    replications: Annotated[int, typer.Option(min=100, help="Logs drawn in each cell.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 1,
    level: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Coverage of the intervals.")] = 0.95,
    processes: Annotated[int, typer.Option(min=1, help="Processes that count.")] = os.cpu_count() or 1,
    groups: Annotated[list[str] | None, typer.Option("--group", help="Only these cells; repeatable.")] = None,
    page: Annotated[Path, typer.Option(help="Page whose tables are rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Count in grids of worlds how often intervals are given and wrong. Takes more than an hour.

    Example: python -m benchmarks.interval_coverage --group counts --group hits
    """
    unknown = [group for group in groups or () if group not in GROUPS]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: the groups are {', '.join(GROUPS)}", param_hint="--group")
    started, missed, counted = commit(), list[str](), 0
    for group in groups or GROUPS:
        cells = study(group, replications, level, seed, processes)
        run: dict[str, Any] = {
            "group": group,
            **origin(started, seed),
            "replications": replications,
            "level": level,
            "limit": largest_error(level, replications),
            "cells": len(cells),
            "missed": list(failures(cells, level, replications)),
        }
        append_result(results, NAME, run | {"figures": cells})
        missed += [f"{group}: {line}" for line in run["missed"]]
        counted += len(cells)
    write_page(page, newest_runs(results))
    report({"commit": started, "replications": replications, "cells": counted, "bars_missed": len(missed)}, as_json)
    for line in missed:
        tell(line)


def newest_runs(results: Path) -> dict[str, dict[str, Any]]:
    """Group -> its newest run. Runs from before there were groups are of binary rewards."""
    lines = (results / f"{NAME}.jsonl").read_text(encoding="utf-8").splitlines()
    found = {run.get("group", BINARY): run for run in map(json.loads, lines)}
    return {group: found[group] for group in GROUPS if group in found}


if __name__ == "__main__":
    run_command(main)
