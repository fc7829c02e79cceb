"""`python -m benchmarks.gate`: how often the gate errs and passes, and what other rules for its budget would cost.

Rules are compared on daily means with known variance; the shipped one also in worlds with a learner that is trained
again every day. The bars: wrong passes in at most the budget of runs plus three Monte Carlo standard errors; the first
look passes as often as planned, within 0.05; and the bars of the rules' table. The section of the page is rewritten.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.gate_page import write_gate_page
from benchmarks.gate_rules import BUDGET, POWER, SPAN, WAIT, measure_rule, rules, shipped_looks
from benchmarks.gate_worlds import GateWorld, largest_error, run_world
from benchmarks.interval_coverage import PAGE
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit, fresh_processes, origin
from off_policy.evidence_planning import ExpectedOutcome, ExploredDesign, rows_needed

FIRST_SHARE = next(share for _, share in shipped_looks(WAIT, WAIT))
FORETOLD_WITHIN = 0.05
Figures = Mapping[str, Any]
MOST_ROWS, MOST_WAITING = 1.3, 2.0


def planned(lift: float, holdout: int) -> GateWorld:
    """All arms are better by `lift`, with the rows that `trimtab evidence` asks for."""
    world = GateWorld(f"{lift:+.0%}", (lift, lift), 1.0, holdout=holdout)
    design = ExploredDesign(1.0 / world.design[1], 1.0 / world.design[0])
    outcome = ExpectedOutcome(min(world.rates))
    judged = rows_needed(design, outcome, lift, world.margin, (FIRST_SHARE, 1.0 - POWER))
    return GateWorld(world.name, world.lifts, judged / holdout, holdout=holdout)


def worlds() -> list[GateWorld]:
    """Those of the table."""
    return [
        GateWorld("zero lift", (0.0, 0.0), 5_000),
        GateWorld("one objective at -margin of 1 %", (-0.01, 0.2), 5_000),
        GateWorld("one objective at -margin of 5 %", (-0.05, 0.3), 20_000, margin=0.05),
        GateWorld("one objective at -margin of 5 %", (-0.05, 0.3), 20_000, margin=0.05, holdout=14),
        planned(0.1, 14),
        planned(0.3, 14),
        planned(0.3, 7),
    ]


def measure_world(world: GateWorld, runs: int, seed: int) -> dict[str, Any]:
    """Shares of the runs."""
    looks = list(shipped_looks(world.holdout, SPAN))
    found = run_world(world, looks, runs, seed)
    soon = sum(day <= WAIT for day, _ in looks)
    return {
        **{name: value for name, value in asdict(world).items() if name in ("name", "lifts", "holdout", "margin")},
        "rows": round(world.rows, 1),
        "first": float((found.first == 0).mean()),
        "within_14": float(((found.first >= 0) & (found.first < soon)).mean()),
        "within_90": float((found.first >= 0).mean()),
        "wrong": float(found.wrong.mean()),
        "refused": float(found.refused.mean()),
        "foretold": POWER if min(world.lifts) > 0.0 else None,
    }


def failures(found_rules: Iterable[Figures], found: Iterable[Figures], limit: float) -> Iterator[str]:
    """What misses a bar, in words."""
    for each in found_rules:
        if not each["rule"].startswith("shipped"):
            continue
        if each["error"] > BUDGET:
            yield f"{each['rule']}: an error of {each['error']:.4f}"
        if each["rows"] > MOST_ROWS and each["rule"].endswith(f"{WAIT} days"):
            yield f"{each['rule']}: {each['rows']:.2f} times the rows of one look"
        if each["after"] > MOST_WAITING * each["fresh"]:
            yield f"{each['rule']}: {each['after'] / each['fresh']:.2f} times the days after 90 days"
    for each in found:
        where = f"{each['name']}, hold-out of {each['holdout']} days"
        if each["wrong"] > limit:
            yield f"{where}: wrong in {each['wrong']:.4f}, more than {limit:.4f}"
        if each["foretold"] is not None and abs(each["first"] - each["foretold"]) > FORETOLD_WITHIN:
            yield f"{where}: the first look passes in {each['first']:.3f}, foretold {each['foretold']:.2f}"


def main(
    runs: Annotated[int, typer.Option(min=20, help="Runs of each world.")] = 2_000,
    rule_runs: Annotated[int, typer.Option(min=100, help="Runs of each rule.")] = 4_000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 1,
    processes: Annotated[int, typer.Option(min=1, help="Processes that count.")] = os.cpu_count() or 1,
    page: Annotated[Path, typer.Option(help="Page whose section is rewritten.")] = PAGE,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Count errors and passes of the gate in simulated worlds, and compare rules for its budget. Takes ten minutes.

    Example: python -m benchmarks.gate --json
    """
    started = commit()
    with fresh_processes(processes) as pool:
        asked = [pool.submit(measure_rule, name, rule_runs, seed) for name in rules()]
        simulated = [pool.submit(measure_world, world, runs, seed) for world in worlds()]
        found_rules = [asdict(each.result()) for each in asked]
        tell(f"{len(found_rules)} rules")
        found = [_told(each.result()) for each in simulated]
    limit = largest_error(BUDGET, runs)
    run: dict[str, Any] = {
        **origin(started, seed),
        "runs": runs,
        "rule_runs": rule_runs,
        "limit": limit,
        "missed": list(failures(found_rules, found, limit)),
    }
    append_result(results, "gate", run | {"rules": found_rules, "worlds": found})
    write_gate_page(page, run, found_rules, found)
    missed = run.pop("missed")
    report(run | {"bars_missed": len(missed)}, as_json)
    for line in missed:
        tell(line)


def _told(figures: dict[str, Any]) -> dict[str, Any]:
    tell(f"{figures['name']}, hold-out of {figures['holdout']} days")
    return figures


if __name__ == "__main__":
    run_command(main)
