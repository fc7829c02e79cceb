"""The tables of the gate's study, as one section of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section

HEADING = "## The gate: errors, power, and what a budget buys"
LINE = 120
Rows = Sequence[Mapping[str, Any]]

RULES = """
Rules for spending an error budget of 0.05, on daily means with known variance. `error`: a policy at -margin ever passes
in 90 days. `rows`: a day, for a fresh policy to pass within 14 days in 80 % of runs, relative to one look at the full
error after 14 days. `fresh` and `after`: mean days to a pass at that signal, of a fresh learner and after 90 days at
-margin. The bars: an error of at most 0.05, rows of at most 1.3 with a hold-out of 14 days, and at most twice the days
after 90 days.
"""
WORLDS = """
Worlds with 50 arms and rewards of 0.1 and 0.05; a ridge regression on user type and arm is trained again every day and
judged by the shipped rule and intervals. `wrong`: of all runs, those in which a policy ever passes in 90 days that is
truly at or below -margin on an objective; `refused`: those in which a look refused one. The last column is what
`trimtab evidence` foretells for the first look with these rows, for the rarer objective.
"""
WORLD_HEADS = "| world | hold-out | rows a day | first look | in 14 days | in 90 days | wrong | refused | foretold |"


def write_gate_page(page: Path, run: Mapping[str, Any], rules: Rows, worlds: Rows) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    how = (
        f"Written by `python -m benchmarks.gate` on {run['date']} at commit {run['commit']}, seed {run['seed']}:"
        f" {run['rule_runs']:,} runs of each rule (ten times as many for errors and signals), {run['runs']:,} of each"
        f" world. Three Monte Carlo standard errors above a budget of 0.05 are {run['limit']:.3f} in a world."
    )
    missed = run["missed"]
    lines = [
        *(HEADING, "", *wrap(how, LINE), "", *wrap(RULES.strip(), LINE), ""),
        "| rule | error | signal | rows | fresh | after | after ÷ fresh |",
        "|---|---|---|---|---|---|---|",
        *(_rule(each) for each in rules),
        *("", *wrap(WORLDS.strip(), LINE), ""),
        WORLD_HEADS,
        "|---|---|---|---|---|---|---|---|---|",
        *(_world(each) for each in worlds),
        "",
        f"Bars missed: {len(missed)}." if missed else "Every bar is met.",
        *(f"\n- {line}" for line in missed),
        "",
    ]
    replace_section(page, HEADING, lines)


def _rule(each: Mapping[str, Any]) -> str:
    figures = f"{each['error']:.3f} | {each['signal']:.2f} | {each['rows']:.2f}"
    days = f"{each['fresh']:.1f} | {each['after']:.1f} | {each['after'] / each['fresh']:.2f}"
    return f"| {each['rule']} | {figures} | {days} |"


def _world(each: Mapping[str, Any]) -> str:
    foretold = "–" if each["foretold"] is None else f"{each['foretold']:.2f}"
    shares = " | ".join(f"{each[name]:.3f}" for name in ("first", "within_14", "within_90", "wrong", "refused"))
    return f"| {each['name']} | {each['holdout']} d | {2 * each['rows']:,.0f} | {shares} | {foretold} |"
