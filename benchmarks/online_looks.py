"""`python -m benchmarks.online_looks`: how often daily looks at an online experiment err, and how long they take.

In worlds with known truth every run is looked at each day, by the bounds and the error shares that the learner uses. A
run counts as wrong if any of its looks is, which is the worst that any rule of stopping can do. The bars: an arm of
zero lift is declared superior in at most 5 % of runs over 90 days, and so is one that is worse than −margin on its
second objective; an arm of zero lift is declared harmed in at most 5 %. The section of the page is rewritten.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from scipy.special import ndtri

from benchmarks.bench_broker import tell
from benchmarks.checkout_process import ROOT
from benchmarks.command_line import report, run_command
from benchmarks.online_page import write_section
from benchmarks.online_worlds import OnlineWorld, daily_looks
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit, fresh_processes, origin
from off_policy.confidence_sequence import ArmMean, lift_bounds
from off_policy.numeric_arrays import BoolArray, FloatArray
from off_policy.sequential_reading import FEWEST_POSITIVE, FEWEST_USERS

PAGE = ROOT / "docs/results.md"
DAYS, MARGIN, ERROR, MOST_ERRORS = 90, 0.01, 0.05, 0.05
OBJECTIVES = 2
TOGETHER = 100
"""Runs that are simulated at a time."""
NULL_WORLDS = (
    OnlineWorld(0.004, users=1_000, spread=1e9),
    OnlineWorld(0.004, users=1_000),
    OnlineWorld(0.02, spread=1e9),
    OnlineWorld(0.02),
    OnlineWorld(0.02, arriving=True),
    OnlineWorld(0.2, spread=1e9),
    OnlineWorld(0.2),
    OnlineWorld(0.2, arriving=True, spread=4.0),
)
BOUNDARY_WORLDS = (
    OnlineWorld(0.2, users=500, lift=(0.3, -0.0101), spread=1e9),
    OnlineWorld(0.2, users=500, lift=(0.3, -0.0101)),
)
POWER_WORLDS = (
    OnlineWorld(0.1, users=600, lift=(0.1, 0.1), spread=1e9),
    OnlineWorld(0.1, users=2_400, lift=(0.1, 0.1), spread=1e9),
    OnlineWorld(0.1, users=600, lift=(0.3, 0.3), spread=1e9),
    OnlineWorld(0.1, users=2_400, lift=(0.1, 0.1), spread=4.0),
)


GROUPS = (("null", NULL_WORLDS, 1), ("boundary", BOUNDARY_WORLDS, 1), ("power", POWER_WORLDS, 4))


@dataclass(frozen=True, eq=False)
class LookRecord:
    """The first day, from 1, on which each run was so; DAYS + 1 if never. `one_look` is of `objective` alone."""

    superior: FloatArray
    adopted: FloatArray
    harmed: FloatArray
    naive: FloatArray
    power_one_look: FloatArray
    """[days]: the share of runs in which one look on this day shows that `objective` is superior."""


def look(world: OnlineWorld, runs: int, rng: np.random.Generator, days: int = DAYS) -> LookRecord:
    """Daily looks at `runs` runs.

    superior  a lower bound of an objective above 0, at e / K: the union over objectives
    adopted   the same, and both objectives and the guardrail above −margin at e
    harmed    an upper bound of an objective or the guardrail below 0, at e / W
    naive     an objective's difference 1.645 errors above 0, as if there were one look
    """
    first = {name: np.full(runs, days + 1.0) for name in ("superior", "adopted", "harmed", "naive")}
    share = np.zeros(days)
    for start in range(0, runs, TOGETHER):
        part = slice(start, min(start + TOGETHER, runs))
        for day, seen in enumerate(daily_looks(world, part.stop - part.start, days, rng)):
            states = _states(seen)
            for name, state in states.items():
                held = first[name][part]
                first[name][part] = np.where(state & (held > days), day + 1.0, held)
            share[day] += _one_look(*seen["objective"][:2]).sum() / runs
    return LookRecord(**first, power_one_look=share)


def _states(seen: dict[str, tuple[ArmMean, ArmMean, FloatArray]]) -> dict[str, BoolArray]:
    bounds: dict[str, tuple[FloatArray, FloatArray, FloatArray]] = {}
    naive = np.zeros(len(seen["objective"][2]), dtype=bool)
    for name, (arm, control, positive) in seen.items():
        ready = (positive >= FEWEST_POSITIVE) & (np.minimum(arm.users, control.users) >= FEWEST_USERS)
        better = lift_bounds(arm, control, ERROR / OBJECTIVES)[0]
        kept, harmed = lift_bounds(arm, control, ERROR)[0], lift_bounds(arm, control, ERROR / len(seen))[1]
        bounds[name] = tuple(np.where(ready, each, np.nan) for each in (better, kept, harmed))  # type: ignore[assignment]
        if name != "active_day":
            naive |= _one_look(arm, control) & (positive >= 1.0)
    superior = (bounds["objective"][0] > 0.0) | (bounds["second"][0] > 0.0)
    kept = np.logical_and.reduce([each[1] >= -MARGIN for each in bounds.values()])
    harmed = np.logical_or.reduce([each[2] < 0.0 for each in bounds.values()])
    return {"superior": superior, "adopted": superior & kept & ~harmed, "harmed": harmed, "naive": naive}


def _one_look(arm: ArmMean, control: ArmMean) -> BoolArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (arm.mean - control.mean) / np.sqrt(arm.variance + control.variance)
    return np.asarray(z > float(ndtri(1.0 - ERROR)))


def measure(world: OnlineWorld, runs: int, seed: int) -> dict[str, Any]:
    """The figures of one world."""
    rng = np.random.default_rng([seed, *repr(world).encode()])
    found = look(world, runs, rng)
    shares = {name: float((getattr(found, name) <= DAYS).mean()) for name in ("superior", "adopted", "harmed", "naive")}
    detected = np.flatnonzero(found.power_one_look >= 0.8)
    return {
        "world": asdict(world) | {"requests_a_day": world.requests_a_day},
        "runs": runs,
        **{name: round(share, 4) for name, share in shares.items()},
        "days_median": _day(found.superior, 0.5),
        "days_80": _day(found.superior, 0.8),
        "days_adopted_80": _day(found.adopted, 0.8),
        "days_80_one_look": int(detected[0]) + 1 if len(detected) else None,
    }


def _day(first: FloatArray, share: float) -> float | None:
    """The day by which this share of runs was there; None if not within DAYS."""
    day = float(np.quantile(first, share, method="higher"))
    return day if day <= DAYS else None


def failures(null: Sequence[dict[str, Any]], boundary: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What misses a bar, in words: more than 5 % and three Monte Carlo standard errors."""
    bars = [(each, name) for each in null for name in ("superior", "harmed")]
    for found, name in [*bars, *((each, "adopted") for each in boundary)]:
        limit = MOST_ERRORS + 3.0 * math.sqrt(MOST_ERRORS * (1.0 - MOST_ERRORS) / found["runs"])
        if found[name] > limit:
            yield f"{name} in {found[name]:.4f} of runs, more than {limit:.4f}: {found['world']}"


def main(
    runs: Annotated[int, typer.Option(min=20, help="Runs of each world; a quarter with a true lift.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes that simulate.")] = os.cpu_count() or 1,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Simulate online experiments over 90 days with a look each day. Takes about 20 minutes of one core.

    Example: python -m benchmarks.online_looks --runs 2000 --seed 1
    """
    started = commit()
    groups: dict[str, list[dict[str, Any]]] = {}
    with fresh_processes(processes) as pool:
        for group, worlds, fewer in GROUPS:
            results_of = [pool.submit(measure, world, runs // fewer, seed) for world in worlds]
            groups[group] = []
            for result in results_of:
                groups[group].append(result.result())
                tell(f"{group}: {groups[group][-1]}")
    missed = list(failures(groups["null"], groups["boundary"]))
    run = {
        **origin(started, seed),
        "runs": runs,
        "missed": missed,
    }
    append_result(results, "online_looks", run | groups)
    write_section(page, run, groups)
    report({name: value for name, value in run.items() if name != "missed"} | {"bars_missed": len(missed)}, as_json)
    for line in missed:
        tell(line)
    if missed:
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(main)
